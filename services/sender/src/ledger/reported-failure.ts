// WeCom had accepted a part and now says that it wasn't delivered: the part waits for the user's next message, or is given up.
import type { MsgSendFail } from '@pipeline/contracts';
import type { NewStoredText } from '@pipeline/store';
import type { LedgerDraft } from './ledger-draft.ts';
import type { QueuedText } from './ledger-state.ts';
import { findPart } from './msgid.ts';
import { acceptPart } from './send-outcome.ts';

const KEPT_FAILURES = 50;
const MAX_REPORTED_FAILURES = 3;
/** fail_type of msg_send_fail that the user's next message cures. */
const CURED_BY_NEXT_MESSAGE = new Set([0, 4, 5, 6, 11]);

/** @param stored the text that the msgid belongs to; null if it isn't ours */
export function takeReportedFailure(draft: LedgerDraft, failure: MsgSendFail, stored: NewStoredText | null) {
  if (!stored) return;
  const { textId, msgId, parts } = stored;
  const place = findPart(draft.userKey, textId, parts.length, stored.msgids.length, failure.failMsgid);
  if (!place) return;
  const { part, generation } = place;
  const { failures, queue } = draft.state;
  const earlier = failures.find((known) => known.textId === textId && known.part === part);
  if (earlier && generation <= earlier.generation) return; // reported again
  const queued = queue.find((text) => text.textId === textId && text.next === part);
  if (queued && queued.generation > generation) return; // on its way anew
  // No answer had told us so, but what fails afterwards was accepted.
  if (queued) acceptPart(draft, queued);
  const count = (earlier?.count ?? 0) + 1;
  const known = failures.filter((other) => other !== earlier);
  draft.patch({ failures: [...known, { textId, part, generation, count }].slice(-KEPT_FAILURES) });
  draft.counts.push('failure-reported');
  const { kind } = stored as { kind: QueuedText['kind'] };
  if (kind !== 'answer') return void draft.counts.push(`${kind}-failed`);
  const again: QueuedText = {
    textId,
    msgId,
    kind,
    decidedAt: draft.now,
    parts: part + 1,
    next: part,
    generation: generation + 1,
    triesBefore: 0,
    rejectedMsgids: 0,
    inline: parts[part]?.content ?? null,
    isStored: true,
    waitingSince: draft.now,
    afterRenewal: draft.state.allowance.renewals,
  };
  if (!CURED_BY_NEXT_MESSAGE.has(failure.failType) || count >= MAX_REPORTED_FAILURES)
    return draft.deadLetter(again, `fail-type-${failure.failType}`, 'WeCom could not deliver this part');
  insert(draft, again);
}

/** Before anything not yet accepted, behind what failed earlier; parts of one text in their order. */
function insert(draft: LedgerDraft, again: QueuedText) {
  const { queue } = draft.state;
  const isBehind = (text: QueuedText) =>
    text.afterRenewal < 0 || (text.textId === again.textId && text.next > again.next);
  const index = queue.findIndex(isBehind);
  draft.patch({ queue: queue.toSpliced(index < 0 ? queue.length : index, 0, again) });
}
