// The sender's every decision about one user, as a pure reducer: what to send next, and what became of it.
import type { CustomerItem, MsgSendFail, Renewal, Text } from '@pipeline/contracts';
import type { Decision, ReduceContext } from '@pipeline/mailbox';
import { originalId, storedTextWrite } from '@pipeline/store';
import { cleanText } from '../text/clean-text.ts';
import { toParts } from '../text/text-parts.ts';
import { sentContent } from './affordable.ts';
import { renew } from './allowance.ts';
import { attemptedText, draftFrom, type LedgerDraft } from './ledger-draft.ts';
import type { LedgerEvent, LedgerSettings, LedgerState, LedgerTypes, QueuedText, SendCall } from './ledger-state.ts';
import { advance, type FoundText } from './next-send.ts';
import { takeReportedFailure } from './reported-failure.ts';
import { acceptPart, callIdOf, takeOutcome } from './send-outcome.ts';
import { storedTextOf, unstoredText } from './unstored-text.ts';

const KEPT_SETTLEMENTS = 16;

export type LedgerDecision = Decision<LedgerTypes>;

/** The send that a ledger has open: named by its msgid and the count of its tries. */
export function callOf({ attempt, queue }: LedgerState): SendCall | null {
  if (!attempt || attempt.retryAt !== null) return null;
  const inline = attemptedText(queue, attempt)?.inline ?? null;
  const content = inline === null ? null : sentContent(inline, attempt.withMore);
  return { id: callIdOf(attempt), startedAt: attempt.startedAt, attempt, content };
}

/** The earliest due time: a retry, else the end of what waits for the user. */
export function createDueAt(settings: LedgerSettings) {
  return ({ attempt, queue }: LedgerState): number | null => {
    if (attempt) return attempt.retryAt;
    const waiting = queue.map(({ waitingSince }) => waitingSince).filter((since) => since !== null);
    return waiting.length === 0 ? null : Math.min(...waiting) + settings.windowMs;
  };
}

/** Builds the reducer for given settings. Events that are redelivered or about something settled change nothing. */
export function createLedgerReducer(settings: LedgerSettings) {
  return (before: LedgerState, event: LedgerEvent, context: ReduceContext): LedgerDecision => {
    const draft = draftFrom(before, context, settings);
    const found = applyEvent(draft, event);
    if (!draft.lookup) advance(draft, found);
    const { state, effects, sideWrites, counts, lookup } = draft;
    return { state, effects, sideWrites, counts, ...(lookup ? { lookup } : {}) };
  };
}

/** @returns the stored text that the event brought along */
function applyEvent(draft: LedgerDraft, event: LedgerEvent): FoundText | undefined {
  switch (event.type) {
    case 'customer.item':
      takeItem(draft, event.item);
      return;
    case 'text':
      return takeText(draft, event.text);
    case 'msg_send_fail':
      takeFailure(draft, event.failure);
      return;
    case 'failed-part.found':
      takeReportedFailure(draft, event.failure, event.stored);
      return;
    case 'settlement.asked':
      settleAgain(draft, event.id, event.msgId);
      return;
    case 'call.settled':
      takeOutcome(draft, event.callId, event.outcome);
      return;
    case 'call.lost':
      repeatCall(draft, event.callId);
      return;
    case 'wake':
      expireWaiting(draft);
      return;
    case 'stored-text.found':
      return event;
  }
}

/** A message of the customer: it renews the allowance; a lone continuation word is settled by what waits for it. */
function takeItem(draft: LedgerDraft, item: CustomerItem): void {
  const { msgId, decidedBy } = item;
  const { queue, attempt, settlements, expected = 0, hasSaidMore = false } = draft.state;
  if (decidedBy === 'sender') {
    const isWaiting = queue.some(({ waitingSince }) => waitingSince !== null);
    // It answers our `more`, also if what is to come isn't here yet.
    const isAnswer = hasSaidMore && (expected > 0 || queue.length > 0);
    // The user may read `more` before we hear that WeCom has accepted it.
    const consumed = attempt?.withMore === true || isWaiting || isAnswer;
    draft.patch({ settlements: [...settlements, { msgId, consumed }].slice(-KEPT_SETTLEMENTS) });
    draft.effects.push({ id: `${msgId}:settled`, kind: 'settled', msgId, consumed });
  }
  renewAllowance(draft, item);
}

/** What has waited for the user's next message waits no longer. */
function renewAllowance(draft: LedgerDraft, message: Renewal & { msgId: string }): void {
  const { allowance, queue } = draft.state;
  const renewed = renew(allowance, message, draft.settings);
  if (renewed === allowance) return;
  draft.patch({ allowance: renewed, queue: queue.map((text) => ({ ...text, waitingSince: null })) });
}

/** A text to send. One that is stored is returned as it will be, as it can't be read before it is saved. */
function takeText(draft: LedgerDraft, event: Text): FoundText {
  const { textId, msgId, kind, decidedAt, content, renewal, expected, parts: left } = event;
  if (renewal) renewAllowance(draft, { msgId, ...renewal });
  const source = left ? content : cleanText(content);
  const parts = left ?? toParts(source, { text: source, fence: null });
  const isStored = left !== undefined || parts.length > 1;
  const text: QueuedText = {
    textId,
    msgId,
    kind,
    decidedAt,
    parts: parts.length,
    next: 0,
    // What WeCom may have seen is never split anew.
    generation: left ? 1 : 0,
    triesBefore: 0,
    rejectedMsgids: 0,
    inline: parts.length === 1 ? (parts[0]?.content ?? null) : null,
    isStored,
    waitingSince: null,
    afterRenewal: -1,
  };
  draft.patch({ queue: [...draft.state.queue, text], ...(expected === undefined ? {} : { expected }) });
  const stored = storedTextOf(draft.userKey, text, source, parts);
  if (isStored) draft.sideWrites.push(storedTextWrite(stored));
  return { textId, stored };
}

/** WeCom reports a part by its msgid: of a text that still stands in the queue, of a recently sent one, or of a stored one. */
function takeFailure(draft: LedgerDraft, failure: MsgSendFail): void {
  const { failMsgid } = failure;
  const unstored = (text: QueuedText) => unstoredText(draft.userKey, text);
  const queued = draft.state.queue.find((text) => unstored(text)?.msgids.includes(failMsgid));
  // No answer had told us so, but what fails afterwards was accepted.
  if (queued && queued.kind !== 'answer') acceptPart(draft, queued);
  const { recentlySent } = draft.state;
  const gone = recentlySent.find((one) => one.endsWith(`:${failMsgid}`));
  if (gone) {
    draft.patch({ recentlySent: recentlySent.filter((one) => one !== gone) });
    draft.counts.push(`${gone.split(':')[0]}-failed`);
    return;
  }
  const stored = queued && unstored(queued);
  if (stored) takeReportedFailure(draft, failure, stored);
  else draft.lookup = { kind: 'failed-part', failure };
}

/** The conversation asks what became of an item, or of the one it replays. Not known (any more), it is an ordinary message. */
function settleAgain(draft: LedgerDraft, eventId: string, msgId: string): void {
  const consumed =
    draft.state.settlements.find((settlement) => settlement.msgId === originalId(msgId))?.consumed ?? false;
  draft.effects.push({ id: `${eventId}:settled`, kind: 'settled', msgId, consumed });
}

/** The call is in nobody's memory: WeCom may have got it, so it is made again under the same msgid. */
function repeatCall(draft: LedgerDraft, callId: string): void {
  const { attempt } = draft.state;
  if (!attempt || callOf(draft.state)?.id !== callId) return;
  draft.patch({ attempt: { ...attempt, tries: attempt.tries + 1, startedAt: draft.now, isUnanswered: true } });
}

function expireWaiting(draft: LedgerDraft): void {
  for (const text of draft.state.queue)
    if (text.waitingSince !== null && text.waitingSince + draft.settings.windowMs <= draft.now)
      draft.deadLetter(text, 'wait-expired', 'the user did not write again in time');
}
