// WeCom simulator: KF accounts, customers' profiles and contact links.
import { type ApiAnswer, accepted, refusal } from './errcodes.ts';
import { opaqueId } from './random.ts';
import type { World } from './world.ts';

const PAGE_MAX = 100;
const BATCH_MAX = 100;

/** `offset` and `limit` come from the body (POST) or are absent (the older GET). */
export function listAccounts(world: World, body: Record<string, unknown>): ApiAnswer {
  const { offset = 0, limit = PAGE_MAX } = body;
  if (!isCount(offset, 0, Number.MAX_SAFE_INTEGER) || !isCount(limit, 1, PAGE_MAX)) return refusal(40058);
  const all = [...world.accounts.values()].slice(offset, offset + limit);
  const list = all.map(({ openKfId, name }) => ({ open_kfid: openKfId, name, avatar: '', manage_privilege: true }));
  return accepted({ account_list: list });
}

/** Customers idle for over 48 h are reported as invalid, with errcode 0. */
export function batchGetCustomers(world: World, body: Record<string, unknown>): ApiAnswer {
  const { external_userid_list: ids, need_enter_session_context: withContext = 0 } = body;
  if (!Array.isArray(ids) || ids.length < 1 || ids.length > BATCH_MAX) return refusal(40058);
  if (withContext !== 0 && withContext !== 1) return refusal(40058);
  const found: Record<string, unknown>[] = [];
  const invalid: unknown[] = [];
  for (const id of ids as unknown[]) {
    if (typeof id !== 'string' || !isActive(world, id)) invalid.push(id);
    else found.push({ external_userid: id, nickname: world.nicknames.get(id) ?? id, avatar: '', gender: 0 });
  }
  return accepted({ customer_list: found, invalid_external_userid: invalid });
}

export function addContactWay(world: World, body: Record<string, unknown>): ApiAnswer {
  const { open_kfid: openKfId, scene = '' } = body;
  if (typeof openKfId !== 'string' || !openKfId.startsWith('wk')) return refusal(95000);
  if (!world.accounts.has(openKfId)) return refusal(95004);
  if (typeof scene !== 'string' || !/^[0-9a-zA-Z_-]{0,32}$/.test(scene)) return refusal(40058);
  return accepted({ url: `https://work.weixin.qq.com/kf/kfc${opaqueId(18)}?enc_scene=ENC${opaqueId(24)}` });
}

function isActive(world: World, externalUserId: string): boolean {
  for (const account of world.accounts.values()) {
    const customer = account.customers.get(externalUserId);
    const lastMs = Math.max(customer?.lastMessageMs ?? 0, customer?.lastEnterMs ?? 0);
    if (customer !== undefined && world.clock.nowMs() - lastMs < world.settings.windowMs) return true;
  }
  return false;
}

function isCount(value: unknown, low: number, high: number): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= low && value <= high;
}
