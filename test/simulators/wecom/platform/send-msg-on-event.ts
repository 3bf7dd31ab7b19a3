// WeCom simulator: send_msg_on_event, one message per code, as long as the code lives.
import { type ApiAnswer, accepted, refusal } from './errcodes.ts';
import type { SentRecord } from './journal.ts';
import { isMsgid, shapeMessage } from './message-shape.ts';
import { opaqueId } from './random.ts';
import { recordRefused, recordSent } from './send-msg.ts';
import { customerOf, type EventCode, type World } from './world.ts';

const CODE_LIFE_MS: Record<EventCode['kind'], number> = {
  welcome: 20_000,
  queued: 48 * 3_600_000,
  taken: 48 * 3_600_000,
  ended: 20_000,
};

/** A code for one reply; bound to the session's state at this moment. */
export function issueEventCode(world: World, code: Omit<EventCode, 'expiresAt'>): string {
  const id = opaqueId(32);
  world.eventCodes.set(id, { ...code, expiresAt: world.clock.nowMs() + CODE_LIFE_MS[code.kind] });
  return id;
}

export function sendMsgOnEvent(
  world: World,
  body: Record<string, unknown>,
  arrivedAt: number,
): { answer: ApiAnswer; sent?: SentRecord } {
  const refuse = (errcode: number) => {
    const answer = refusal(errcode);
    recordRefused(world, 'send_msg_on_event', body, answer, false);
    return { answer };
  };
  if (typeof body.code !== 'string' || body.code === '') return refuse(40058);
  if (body.msgid !== undefined && !isMsgid(body.msgid)) return refuse(40058);
  const shaped = shapeMessage(world, body, true);
  if (!shaped.ok) return refuse(shaped.errcode);

  const code = world.eventCodes.get(body.code);
  const account = code === undefined ? undefined : world.accounts.get(code.openKfId);
  if (code === undefined || account === undefined) return refuse(world.settings.eventCodeError);
  const customer = customerOf(account, code.externalUserId);
  const isMoved = code.kind !== 'welcome' && customer.session !== code.session;
  if (isMoved || code.expiresAt <= world.clock.nowMs()) return refuse(world.settings.eventCodeError);

  const msgid = body.msgid === undefined || body.msgid === '' ? opaqueId(32) : body.msgid;
  if (account.usedMsgids.has(msgid)) return refuse(95033);
  world.eventCodes.delete(body.code);
  account.usedMsgids.add(msgid);
  if (code.kind === 'welcome') customer.welcomedMs = world.clock.nowMs();
  if (world.settings.eventSendsSpendAllowance) customer.remaining = Math.max(customer.remaining - 1, 0);
  const call = { msgid, arrivedAt, api: 'send_msg_on_event' as const };
  const sent = recordSent(world, customer, shaped.message, call);
  return { answer: accepted({ msgid }), sent };
}
