// Which part is offered to WeCom next, and what is given up because nothing pays for it.
import { type NewStoredText, storedMsgidWrite, storedTextWrite } from '@pipeline/store';
import { affordable, hasRoomForMore, makeRoomForMore } from './affordable.ts';
import { refund, remainingAt, spend } from './allowance.ts';
import { attemptedText, type LedgerDraft } from './ledger-draft.ts';
import type { QueuedText } from './ledger-state.ts';
import { msgidOf } from './msgid.ts';
import { storedTextOf, unstoredText } from './unstored-text.ts';

const COURTESY_MAX_AGE_MS = 60_000;
/** A request that got no answer for this long reaches WeCom no more. */
const SETTLES_WITHIN_MS = 30_000;

/** The stored form of a text, as far as it is known; null: it is stored no more. */
export interface FoundText {
  textId: string;
  stored: NewStoredText | null;
}

/** Begins the next try or the next send, if one is due. @param found the head as it is stored, when it had to be read */
export function advance(draft: LedgerDraft, found?: FoundText) {
  dropSpentCourtesy(draft);
  retryIfDue(draft);
  for (let [head] = draft.state.queue; head && !draft.state.attempt; [head] = draft.state.queue) {
    const { allowance, queue, expected = 0 } = draft.state;
    const isHeldBack = head.afterRenewal >= allowance.renewals;
    const remaining = isHeldBack ? 0 : remainingAt(allowance, draft.now, draft.settings);
    const verdict = affordable(head, { behind: queue.slice(1), expected, remaining }, draft.settings);
    if (verdict === 'wait') return waitForUser(draft);
    if (verdict === 'unaffordable') draft.drop(head, 'skipped');
    else if (verdict === 'send') begin(draft, head, false);
    else sendLast(draft, head, found);
    if (draft.lookup) return;
  }
}

/** Nothing can be sent before the user writes again. Only answers wait for that. */
function waitForUser(draft: LedgerDraft) {
  for (const text of draft.state.queue) {
    if (text.kind !== 'answer') draft.drop(text, 'skipped');
    else if (text.waitingSince === null) draft.patchText(text, { waitingSince: draft.now });
  }
}

/** The last affordable send with more to come: it says so, if need be in a part cut shorter for that. */
function sendLast(draft: LedgerDraft, head: QueuedText, found: FoundText | undefined) {
  if (head.inline !== null && hasRoomForMore(head.inline)) return begin(draft, head, true);
  // Bytes that WeCom may have seen aren't split anew: then it goes without `more` if that doesn't fit.
  const wasAttempted = head.generation > 0 || head.triesBefore > 0;
  if (head.inline !== null && wasAttempted) return begin(draft, head, false);
  const unstored = unstoredText(draft.userKey, head);
  if (!unstored && found?.textId !== head.textId) {
    draft.lookup = { kind: 'stored-text', textId: head.textId };
    return;
  }
  const stored = unstored ?? found?.stored;
  if (!stored) return draft.deadLetter(head, 'delivery-missing', 'the text is no longer stored');
  const { source, parts } = stored;
  const part = parts[head.next]?.content ?? '';
  if (wasAttempted || hasRoomForMore(part)) return begin(draft, head, hasRoomForMore(part));
  const roomy = makeRoomForMore(source, parts, head.next);
  const { msgids } = storedTextOf(draft.userKey, head, source, roomy);
  const known = [...new Set([...stored.msgids, ...msgids])];
  draft.sideWrites.push(storedTextWrite({ ...stored, parts: roomy, msgids: known }));
  draft.patchText(head, { parts: roomy.length, inline: null, isStored: true });
  const [patched] = draft.state.queue;
  if (patched) begin(draft, patched, true);
}

function begin(draft: LedgerDraft, text: QueuedText, withMore: boolean) {
  const { now, userKey } = draft;
  const { textId, next: part, generation, triesBefore } = text;
  const msgid = msgidOf(userKey, textId, part, generation);
  if (generation > 0 && text.isStored) draft.sideWrites.push(storedMsgidWrite(userKey, textId, msgid));
  const { renewals } = draft.state.allowance;
  draft.patchText(text, { waitingSince: null });
  draft.patch({
    allowance: spend(draft.state.allowance, now, draft.settings),
    attempt: {
      textId,
      part,
      generation,
      msgid,
      tries: triesBefore + 1,
      begunAt: now,
      startedAt: now,
      retryAt: null,
      isUnanswered: triesBefore > 0,
      renewals,
      withMore,
    },
  });
}

function retryIfDue(draft: LedgerDraft) {
  const { attempt } = draft.state;
  if (attempt?.retryAt == null || attempt.retryAt > draft.now) return;
  draft.patch({ attempt: { ...attempt, retryAt: null, tries: attempt.tries + 1, startedAt: draft.now } });
}

/**
 * Courtesy grown old, or about a message whose answer is here, says nothing any more. A call under way is let be; and one
 * without an answer is settled by another try while WeCom may still be at it, lest it arrive behind what follows.
 */
function dropSpentCourtesy(draft: LedgerDraft) {
  for (const text of draft.state.queue) {
    if (text.kind !== 'courtesy') continue;
    const { attempt, queue } = draft.state;
    const isStale = draft.now - text.decidedAt >= COURTESY_MAX_AGE_MS;
    const isOvertaken = queue.some(({ kind, msgId }) => kind === 'answer' && msgId === text.msgId);
    const isAttempted = attempt !== null && attemptedText(queue, attempt) === text;
    if (!isStale && !isOvertaken) continue;
    if (isAttempted) {
      const isInDoubt = attempt.isUnanswered && draft.now - attempt.startedAt < SETTLES_WITHIN_MS;
      if (attempt.retryAt === null || isInDoubt) continue;
      if (attempt.isUnanswered) draft.patch({ attempt: null });
      else endRefusedAttempt(draft, false);
    }
    draft.drop(text, isStale ? 'stale' : 'overtaken');
  }
}

/** The attempt was refused: it cost nothing. @param isExhausted and nothing is left of the allowance it was begun under */
export function endRefusedAttempt(draft: LedgerDraft, isExhausted: boolean) {
  const { attempt, allowance } = draft.state;
  if (!attempt) return;
  const begun = { at: attempt.begunAt, renewals: attempt.renewals };
  draft.patch({ attempt: null, allowance: refund(allowance, begun, isExhausted, draft.settings) });
}
