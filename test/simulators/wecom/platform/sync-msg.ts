// WeCom simulator: sync_msg, the log of one KF account page by page.
import { decodeCursor, encodeCursor, type LogEntry } from './account-log.ts';
import { type ApiAnswer, accepted, refusal } from './errcodes.ts';
import type { World } from './world.ts';

export type SyncWish = { emptyPage?: boolean; maxItems?: number; replay?: number };

/** The answer, and the entries that count as returned once it has reached the caller whole. */
export type SyncAnswer = { answer: ApiAnswer; entries: LogEntry[]; openKfId: string };

const MAX_LIMIT = 1000;

/** `wish` is what faults on command ask of this page: empty with has_more, short, or with earlier items again. */
export function syncMsg(world: World, body: Record<string, unknown>, wish: SyncWish = {}): SyncAnswer {
  const openKfId = body.open_kfid;
  const refuse = (errcode: number, extra: Record<string, unknown> = {}): SyncAnswer => ({
    answer: { ...refusal(errcode), ...extra },
    entries: [],
    openKfId: typeof openKfId === 'string' ? openKfId : '',
  });

  if (typeof openKfId !== 'string' || openKfId === '') return refuse(40058);
  if (!openKfId.startsWith('wk')) return refuse(95000);
  const account = world.accounts.get(openKfId);
  if (account === undefined) return refuse(95004);

  const { limit = MAX_LIMIT, cursor = '', token = '', voice_format: voiceFormat = 0 } = body;
  if (typeof limit !== 'number' || !Number.isInteger(limit) || limit < 1 || limit > MAX_LIMIT) return refuse(40058);
  if (typeof cursor !== 'string' || Buffer.byteLength(cursor) > 64) return refuse(40058);
  if (typeof token !== 'string' || Buffer.byteLength(token) > 128) return refuse(40058);
  if (voiceFormat !== 0 && voiceFormat !== 1) return refuse(40058);

  if (token === '') {
    if (!world.quota.take('tokenless', world.settings.tokenlessPerMinute)) return refuse(45009);
  } else {
    const endsAt = world.syncTokens.get(token);
    if (endsAt === undefined || endsAt <= world.clock.nowMs()) return refuse(95007, { msg_list: [] });
  }

  const from = cursor === '' ? account.log.firstIndex() : decodeCursor(openKfId, cursor);
  if (from === undefined || from > account.log.endIndex()) return refuse(world.settings.badCursorCode);

  const oldest = Math.floor((world.clock.nowMs() - world.settings.retentionMs) / 1000);
  const pageItems = Math.min(limit, world.settings.maxPageItems, wish.maxItems ?? MAX_LIMIT);
  if (wish.emptyPage === true) {
    const answer = accepted({ next_cursor: encodeCursor(openKfId, from), has_more: 1, msg_list: [] });
    return { answer, entries: [], openKfId };
  }
  const again = wish.replay === undefined ? [] : account.log.before(from, Math.min(wish.replay, pageItems - 1), oldest);
  const page = account.log.page(from, pageItems - again.length, oldest);
  const entries = [...again, ...page.entries];
  const answer = accepted({
    next_cursor: encodeCursor(openKfId, page.nextIndex),
    has_more: page.hasMore ? 1 : 0,
    msg_list: entries.map((entry) => entry.item),
  });
  return { answer, entries, openKfId };
}

/** Notes when each item first reached the caller (epoch ms of this machine). */
export function markReturned(world: World, sync: SyncAnswer): void {
  const now = world.clock.realMs();
  const msgids: unknown[] = [];
  let messages = 0;
  for (const entry of sync.entries) {
    entry.returnedTimes += 1;
    if (entry.firstReturnedAt !== undefined) continue;
    entry.firstReturnedAt = now;
    if (entry.item.origin === 3) messages += 1;
    msgids.push(entry.item.msgid);
  }
  world.totals.pulled += messages;
  if (msgids.length > 0) world.journal.emit('pulled', now, { openKfId: sync.openKfId, msgids, messages });
}
