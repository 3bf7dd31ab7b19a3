// What ends a turn: the bridge's answer, a failed call, or the clock. And what a bridge says after that.
import type { Answer } from '@pipeline/store';
import { render } from '@pipeline/texts';
import { outcomeOf } from './bridge-answer.ts';
import type { ConversationDraft } from './conversation-draft.ts';
import type { BridgeOutcome, FailureText, Turn } from './conversation-state.ts';

const KEPT_UNANSWERED = 100;
const LATE_ANSWER_MS = 24 * 3_600_000;

/** The text that is the bridge's answer. */
export const answerTextId = (msgId: string): string => `${msgId}:answer`;

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
  draft.dispatch({ ...turn, attempt: turn.attempt + 1 });
}

/** A bridge has answered. @param arriving what, if the turn may end while that is still being stored */
export function hearOfAnswer(draft: ConversationDraft, msgId: string, arriving?: Answer) {
  const { turn, unanswered } = draft.state;
  if (arriving && turn?.msgId === msgId) {
    const outcome = outcomeOf(arriving);
    if (outcome === 'answered') endAnswered(draft, turn, arriving);
    else endTurn(draft, turn, outcome, true, arriving);
    // Nobody waits for it: most likely it repeats an earlier one.
  } else if (!arriving || unanswered.some((ended) => ended.msgId === msgId)) draft.lookup = { kind: 'answer', msgId };
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
  if (turn?.msgId === msgId)
    return answer === 'answered' ? endAnswered(draft, turn, null) : endTurn(draft, turn, answer, true);
  if (waited) {
    draft.patch({ unanswered: unanswered.filter((ended) => ended !== waited) });
    if (answer === 'answered' && now - waited.endedAt <= LATE_ANSWER_MS)
      draft.say(msgId, 'late', 'answer', null, { isLate: true });
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

/** That the answer is taken, is noted once it is out. @param arriving the answer, if it is still being stored */
function endAnswered(draft: ConversationDraft, { msgId }: Turn, arriving: Answer | null) {
  draft.say(msgId, 'answer', 'answer', null, arriving ? { arriving } : {});
  draft.patch({ turn: null });
}

function endTurn(
  draft: ConversationDraft,
  { msgId, instanceName }: Turn,
  endedBy: FailureText,
  isAnswerTaken: boolean,
  arriving?: Answer,
) {
  const content = render(endedBy, { name: instanceName });
  draft.say(msgId, endedBy, 'answer', content, arriving ? { arriving } : {});
  draft.closeTask(msgId, endedBy, isAnswerTaken);
  draft.patch({ turn: null });
}
