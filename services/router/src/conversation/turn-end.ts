// What ends a turn: the bridge's answer, a failed call, or the clock. And what a bridge says after that.
import type { BridgeAnswered } from '@pipeline/contracts';
import { render } from '@pipeline/texts';
import { outcomeOf } from './bridge-answer.ts';
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
  draft.dispatch({ ...turn, attempt: turn.attempt + 1 });
}

/** A bridge has answered. What nobody waits for is a repeat. */
export function takeAnswer(draft: ConversationDraft, answer: BridgeAnswered) {
  const { turn, unanswered } = draft.state;
  const { msgId, content } = answer;
  const outcome = outcomeOf(answer);
  if (turn?.msgId === msgId) {
    if (outcome === 'answered') endTurn(draft, turn, 'answer', content);
    else endFailed(draft, turn, outcome);
    return;
  }
  const late = unanswered.find((ended) => ended.msgId === msgId);
  if (!late) return;
  draft.patch({ unanswered: unanswered.filter((ended) => ended !== late) });
  if (outcome === 'answered' && draft.now - late.endedAt <= LATE_ANSWER_MS)
    draft.say(msgId, 'late', 'answer', render('lateReply', { content }));
}

/** The turn's own due times: its end, or the reminder that it still runs. */
export function lookAtTurnClock(draft: ConversationDraft) {
  const { turn } = draft.state;
  if (!turn) return;
  if (isDue(draft, turn.deadline)) endUnanswered(draft, turn, 'timeout');
  else if (isDue(draft, turn.remindAt)) {
    draft.say(turn.msgId, 'stillThinking', 'courtesy', render('stillThinking'));
    draft.patch({ turn: { ...turn, remindAt: null } });
  }
}

const isDue = ({ now }: ConversationDraft, time: number | null) => time !== null && time <= now;

/** Ends a turn whose bridge may still answer. */
function endUnanswered(draft: ConversationDraft, turn: Turn, endedBy: FailureText) {
  endFailed(draft, turn, endedBy);
  const ended = { msgId: turn.msgId, endedAt: draft.now };
  draft.patch({ unanswered: [...draft.state.unanswered, ended].slice(-KEPT_UNANSWERED) });
}

const endFailed = (draft: ConversationDraft, turn: Turn, endedBy: FailureText) =>
  endTurn(draft, turn, endedBy, render(endedBy, { name: turn.instanceName }));

/** @param key with the message's id, that of the text */
function endTurn(draft: ConversationDraft, { msgId }: Turn, key: 'answer' | FailureText, content: string) {
  draft.say(msgId, key, 'answer', content);
  draft.patch({ turn: null });
}
