// What ends a turn: the bridge's answer, a failed call, or the clock. And what a bridge says after that.
import { render } from '@pipeline/texts';
import type { ConversationDraft } from './conversation-draft.ts';
import type { BridgeOutcome, FailureText, Turn } from './conversation-state.ts';

const KEPT_UNANSWERED = 100;
const LATE_ANSWER_MS = 24 * 3_600_000;

/** The name of a turn's present call: the message and the count of its POSTs. */
export const callIdOf = ({ msgId, attempt }: Turn): string => `${msgId}#${attempt}`;

/** Takes the outcome of a POST. An ack of any of the turn's POSTs counts; a failure only of the present one. */
export function takeCallOutcome(draft: ConversationDraft, callId: string, outcome: BridgeOutcome) {
  const { turn } = draft.state;
  if (turn?.phase !== 'dispatching' || callId.slice(0, callId.lastIndexOf('#')) !== turn.msgId) return;
  if (outcome.kind === 'acked') {
    const deadline = draft.now + draft.settings.callbackTimeoutMs;
    draft.patch({ turn: { ...turn, phase: 'waiting', deadline } });
  } else if (callId === callIdOf(turn)) endUnanswered(draft, turn, outcome.text);
}

/** The POST is in nobody's memory: made again, under the same key. */
export function repeatCall(draft: ConversationDraft, callId: string) {
  const { turn } = draft.state;
  if (turn?.phase !== 'dispatching' || callId !== callIdOf(turn)) return;
  draft.patch({ turn: { ...turn, attempt: turn.attempt + 1, dispatchedAt: draft.now } });
}

/** Takes the first answer to a task, in time or late. @param answer null: there is none, which ends a turn that is due */
export function takeAnswer(draft: ConversationDraft, msgId: string, answer: 'answered' | FailureText | null) {
  const { now } = draft;
  const { turn, unanswered } = draft.state;
  if (answer === null) {
    if (turn?.msgId === msgId && isDue(draft, turn.deadline)) endUnanswered(draft, turn, 'timeout');
    return;
  }
  const waited = unanswered.find((ended) => ended.msgId === msgId);
  if (turn?.msgId === msgId) return endTurn(draft, turn, answer === 'answered' ? 'answer' : answer, true);
  if (waited) {
    draft.patch({ unanswered: unanswered.filter((ended) => ended !== waited) });
    if (answer === 'answered' && now - waited.endedAt <= LATE_ANSWER_MS) draft.say(msgId, 'late', 'answer', null, true);
  }
  draft.closeTask(msgId, null, true);
}

/** The turn's own due times: its end, or the reminder that it still runs. */
export function lookAtTurnClock(draft: ConversationDraft) {
  const { turn } = draft.state;
  if (!turn) return;
  // An answer may stand on the task without our having heard of it.
  if (isDue(draft, turn.deadline)) draft.lookup = { kind: 'answer', msgId: turn.msgId };
  else if (isDue(draft, turn.remindAt)) {
    draft.say(turn.msgId, 'stillThinking', 'courtesy', render('stillThinking'));
    draft.patch({ turn: { ...turn, remindAt: null } });
  }
}

const isDue = ({ now }: ConversationDraft, time: number | null) => time !== null && time <= now;

/** Ends a turn whose bridge may still answer. */
function endUnanswered(draft: ConversationDraft, turn: Turn, endedBy: FailureText) {
  endTurn(draft, turn, endedBy, false);
  const ended = { msgId: turn.msgId, endedAt: draft.now };
  draft.patch({ unanswered: [...draft.state.unanswered, ended].slice(-KEPT_UNANSWERED) });
}

function endTurn(draft: ConversationDraft, turn: Turn, endedBy: 'answer' | FailureText, isAnswerTaken: boolean) {
  if (endedBy === 'answer') draft.say(turn.msgId, 'answer', 'answer', null);
  else draft.say(turn.msgId, endedBy, 'answer', render(endedBy, { name: turn.instanceName }));
  draft.closeTask(turn.msgId, endedBy, isAnswerTaken);
  draft.patch({ turn: null });
}
