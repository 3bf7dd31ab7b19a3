// The line of a user's messages: who gets in, who waits for a decision made elsewhere, and what is told to the rest.
import { type CustomerItem, renewalBy } from '@pipeline/contracts';
import { render } from '@pipeline/texts';
import { countWaiting, extendWindow, judge } from './admission.ts';
import type { ConversationDraft } from './conversation-draft.ts';
import type { Entry } from './conversation-state.ts';

const MAX_BEHIND_HOLD = 20;
const KEPT_SETTLEMENTS = 16;
const ASK_FIRST_MS = 10_000;
const ASK_MAX_MS = 300_000;

/** A new message takes its place; it is judged at once unless a hold stands before it. */
export function takeItem(draft: ConversationDraft, item: CustomerItem) {
  const { entries, settlements } = draft.state;
  const settled = settlements.find(({ msgId }) => msgId === item.msgId);
  if (settled) draft.patch({ settlements: settlements.filter((settlement) => settlement !== settled) });
  if (settled?.consumed) return;
  // One of those not accepted is the hold itself.
  if (entries.filter(({ status }) => status !== 'accepted').length > MAX_BEHIND_HOLD) {
    const content = render('queueFull', { depth: draft.settings.queueMaxDepth });
    draft.say(item.msgId, 'queueFull', 'notice', content, renewalBy(item));
    return;
  }
  const entry: Entry =
    item.decidedBy !== null && !settled
      ? { status: 'hold', item, askAt: draft.now + ASK_FIRST_MS, askDelayMs: ASK_FIRST_MS, asked: 0 }
      : { status: 'undecided', item };
  draft.patch({ entries: [...entries, entry] });
  judgeEntries(draft);
}

/** A held item is decided: consumed it vanishes, else it is an ordinary message at its place. */
export function settleItem(draft: ConversationDraft, msgId: string, consumed: boolean) {
  const { entries, settlements } = draft.state;
  const held = entries.find((entry) => entry.status === 'hold' && entry.item.msgId === msgId);
  if (held?.status === 'hold') {
    const ordinary: Entry[] = consumed ? [] : [{ status: 'undecided', item: { ...held.item, decidedBy: null } }];
    draft.patch({ entries: entries.flatMap((entry) => (entry === held ? ordinary : [entry])) });
    judgeEntries(draft);
  } else if (!settlements.some((settlement) => settlement.msgId === msgId))
    draft.patch({ settlements: [...settlements, { msgId, consumed }].slice(-KEPT_SETTLEMENTS) });
}

/** Asks again what became of the items that have been held for too long. */
export function askAboutHolds(draft: ConversationDraft) {
  const { entries } = draft.state;
  if (!entries.some((entry) => entry.status === 'hold' && entry.askAt <= draft.now)) return;
  const asked = entries.map((entry): Entry => {
    if (entry.status !== 'hold' || entry.askAt > draft.now || entry.item.decidedBy === null) return entry;
    const { msgId, decidedBy, match } = entry.item;
    draft.effects.push({ id: `${msgId}:ask:${entry.asked}`, kind: 'ask', msgId, decidedBy, match });
    const askDelayMs = Math.min(ASK_MAX_MS, entry.askDelayMs * 2);
    return { ...entry, askDelayMs, askAt: draft.now + askDelayMs, asked: entry.asked + 1 };
  });
  draft.patch({ entries: asked });
}

/** Judges, in order, what no hold stands before. */
function judgeEntries(draft: ConversationDraft) {
  const { settings } = draft;
  const { turn } = draft.state;
  const entries = [...draft.state.entries];
  const decided: Entry[] = [];
  let { accepted } = draft.state;
  while (entries[0] && entries[0].status !== 'hold') {
    const entry = entries.shift() as Exclude<Entry, { status: 'hold' }>;
    if (entry.status === 'accepted') {
      decided.push(entry);
      continue;
    }
    const { item } = entry;
    const { msgId } = item;
    const renewal = renewalBy(item);
    const verdict = judge(item, { turn, accepted, waiting: countWaiting(decided) }, settings);
    if (verdict.kind === 'accepted') {
      decided.push({ status: 'accepted', msgId, text: verdict.text, renewal });
      accepted = extendWindow(accepted, item.sendTime, settings.rateLimitPerMinute);
      if (verdict.ahead > 0) draft.say(msgId, 'queued', 'courtesy', render('queued', { N: verdict.ahead }), renewal);
    } else if (verdict.kind === 'refused') {
      const params = { limit: settings.rateLimitPerMinute, depth: settings.queueMaxDepth };
      draft.say(msgId, verdict.text, 'notice', render(verdict.text, params), renewal);
    }
  }
  draft.patch({ entries: [...decided, ...entries], accepted });
}
