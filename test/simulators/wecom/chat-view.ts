// WeCom simulator: what the chat page needs to draw its phones when it is opened.
import type { Control } from './control.ts';
import type { World } from './platform/world.ts';

const KEPT_ENTRIES = 200;
const OTHER_CUSTOMERS = 50;

type Chosen = { openKfId: string; externalUserId: string };

/**
 * The chats of `wanted` customers ("openKfId:externalUserId"), or of the `limit` that wrote last; of the
 * rest the names only. `lastEventSeq` is where the page's event stream goes on.
 */
export function chatView(world: World, control: Control, wanted: readonly string[], limit: number) {
  const all = [...world.accounts.values()].flatMap((account) => [...account.customers.values()]);
  const recent = all.toSorted((a, b) => (b.messageIndexes.at(-1) ?? -1) - (a.messageIndexes.at(-1) ?? -1));
  const keyOf = ({ openKfId, externalUserId }: Chosen) => `${openKfId}:${externalUserId}`;
  const chosen =
    wanted.length === 0 ? recent.slice(0, limit) : all.filter((customer) => wanted.includes(keyOf(customer)));
  // Side by side in the order in which they first wrote.
  chosen.sort((a, b) => (a.messageIndexes[0] ?? 0) - (b.messageIndexes[0] ?? 0));
  const chosenKeys = new Set(chosen.map(keyOf));
  return {
    lastEventSeq: world.journal.lastEventSeq(),
    offsetMs: world.clock.offsetMs(),
    allowance: world.settings.allowance,
    textBytes: world.settings.textBytes,
    totals: { ...world.totals, sent: world.journal.sentCount(), refused: world.journal.refused().length },
    accounts: [...world.accounts.values()].map(({ openKfId, name }) => ({ openKfId, name })),
    chats: chosen.map(({ openKfId, externalUserId }) => ({
      customer: control.customer(externalUserId, openKfId),
      messages: control.messages({ user: externalUserId, openKfId }).slice(-KEPT_ENTRIES),
      sent: ofAccount(control.sent({ user: externalUserId }), openKfId),
      refused: ofAccount(control.refused({ user: externalUserId }), openKfId),
    })),
    others: recent
      .filter((customer) => !chosenKeys.has(keyOf(customer)))
      .slice(0, OTHER_CUSTOMERS)
      .map(({ openKfId, externalUserId }) => control.customer(externalUserId, openKfId)),
  };
}

function ofAccount<Item extends { openKfId: string }>(items: Item[], openKfId: string): Item[] {
  return items.filter((item) => item.openKfId === openKfId).slice(-KEPT_ENTRIES);
}
