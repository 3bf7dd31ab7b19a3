// What WeCom's answer to a send means for the part that was offered.
import { spendRetried } from './allowance.ts';
import { attemptedText, type LedgerDraft } from './ledger-draft.ts';
import type { Attempt, QueuedText, SendOutcome } from './ledger-state.ts';
import { msgidOf } from './msgid.ts';
import { endRefusedAttempt } from './next-send.ts';

const RETRY_FIRST_MS = 1_000;
const RETRY_MAX_MS = 60_000;
const CONFIGURATION_RETRY_MS = 30_000;
/** A part refused as duplicate under this many msgids in a row is given up. */
const MAX_REJECTED = 8;
const DUPLICATE_MSGID = 95033;
/** Of older ones a reported failure is only not counted. */
const KEPT_SENT = 8;

/** The name of an attempt's present try. */
export const callIdOf = ({ msgid, tries }: Attempt): string => `${msgid}#${tries}`;

/** Takes the outcome of a try. Those of other attempts change nothing. */
export function takeOutcome(draft: LedgerDraft, callId: string, outcome: SendOutcome) {
  const { attempt, queue, allowance } = draft.state;
  const text = attempt && attemptedText(queue, attempt);
  // An answer to any try of this msgid tells what WeCom has; a failure counts only for the present one.
  if (!attempt || !text || !callId.startsWith(`${attempt.msgid}#`)) return;
  const isPresent = callId === callIdOf(attempt) && attempt.retryAt === null;
  if (outcome.kind === 'sent') {
    if (isPresent && attempt.renewals !== allowance.renewals)
      draft.patch({ allowance: spendRetried(allowance, attempt.begunAt, attempt.startedAt, draft.settings) });
    return acceptPart(draft, text);
  }
  if (!isPresent) return;
  if (outcome.kind === 'missing') {
    endRefusedAttempt(draft, false);
    return draft.deadLetter(text, 'delivery-missing', 'the text is no longer stored');
  }
  if (outcome.kind === 'unanswered')
    return retryLater(draft, attempt, outcome.retryAfterMs, attempt.isUnanswered || outcome.isUnanswered);
  if (outcome.errcode === DUPLICATE_MSGID)
    return attempt.isUnanswered ? acceptPart(draft, text) : takeNextMsgid(draft, text);
  switch (outcome.class) {
    case 'waiting':
      return takeAllowanceRefusal(draft, attempt, text);
    case 'retryable':
      return retryLater(draft, attempt, outcome.retryAfterMs, attempt.isUnanswered);
    case 'configuration':
      return retryLater(draft, attempt, outcome.retryAfterMs ?? CONFIGURATION_RETRY_MS, attempt.isUnanswered);
    case 'permanent':
      endRefusedAttempt(draft, false);
      return draft.deadLetter(text, `wecom-${outcome.errcode}`, 'WeCom refuses this text for good');
  }
}

/** WeCom has the text's next part: on to the one after it. */
export function acceptPart(draft: LedgerDraft, text: QueuedText) {
  const { attempt, queue, recentlySent } = draft.state;
  const { kind, textId, next, generation } = text;
  if (attempt && attemptedText(queue, attempt) === text) draft.patch({ attempt: null, hasSaidMore: attempt.withMore });
  draft.counts.push(`${kind}-sent`);
  if (next + 1 >= text.parts) {
    if (kind === 'answer') draft.store(text);
    else {
      const msgid = msgidOf(draft.userKey, textId, next, generation);
      draft.patch({ recentlySent: [...recentlySent, `${kind}:${msgid}`].slice(-KEPT_SENT) });
    }
    draft.remove(text);
  } else draft.patchText(text, { next: text.next + 1, generation: 0, triesBefore: 0, rejectedMsgids: 0 });
}

function retryLater(draft: LedgerDraft, attempt: Attempt, afterMs: number | null, isUnanswered: boolean) {
  const backoffMs = Math.min(RETRY_MAX_MS, RETRY_FIRST_MS * 2 ** Math.min(attempt.tries - 1, 10));
  draft.patch({ attempt: { ...attempt, isUnanswered, retryAt: draft.now + (afterMs ?? backoffMs) } });
}

/** Nobody got anything under this msgid, yet WeCom has it on its list: it took the id with a refusal. */
function takeNextMsgid(draft: LedgerDraft, text: QueuedText) {
  endRefusedAttempt(draft, false);
  const rejectedMsgids = text.rejectedMsgids + 1;
  if (rejectedMsgids >= MAX_REJECTED) return draft.deadLetter(text, 'wecom-95033', 'every msgid is taken');
  draft.patchText(text, { generation: text.generation + 1, rejectedMsgids });
}

/** Only the user's next message cures it, unless that message came while the send was under way. */
function takeAllowanceRefusal(draft: LedgerDraft, attempt: Attempt, text: QueuedText) {
  const isRenewed = attempt.renewals !== draft.state.allowance.renewals;
  draft.counts.push('allowance-refused');
  endRefusedAttempt(draft, true);
  if (text.kind !== 'answer' && !isRenewed) return draft.drop(text, 'refused');
  // An unanswered try may have got through before: only the same msgid can tell. Else WeCom may have taken the id with its refusal: a new one.
  if (attempt.isUnanswered) draft.patchText(text, { triesBefore: attempt.tries });
  else draft.patchText(text, { generation: text.generation + 1 });
}
