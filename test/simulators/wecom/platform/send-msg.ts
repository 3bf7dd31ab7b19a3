// WeCom simulator: send_msg, its checks in the order that the settings give.
import { type ApiAnswer, accepted, refusal } from './errcodes.ts';
import type { SentRecord } from './journal.ts';
import { isMsgid, type ShapedMessage, shapeMessage } from './message-shape.ts';
import { opaqueId } from './random.ts';
import type { SendCheck } from './settings.ts';
import { type Account, type Customer, describeCustomer, type World } from './world.ts';

type Draft = {
  body: Record<string, unknown>;
  account: Account | undefined;
  customer: Customer | undefined;
  message: ShapedMessage | undefined;
};

type Check = (world: World, draft: Draft) => number;

/** What the caller asked for, as far as it can be read: for the journal, whatever becomes of the call. */
export function readSend(body: Record<string, unknown>): {
  user: string;
  openKfId: string;
  msgid: string;
  text: string;
} {
  const part = body.text;
  const content = typeof part === 'object' && part !== null && 'content' in part ? part.content : '';
  return { user: text(body.touser), openKfId: text(body.open_kfid), msgid: text(body.msgid), text: text(content) };
}

/** `arrivedAt`: epoch ms of this machine. Refusals are journalled too. */
export function sendMsg(
  world: World,
  body: Record<string, unknown>,
  arrivedAt: number,
): { answer: ApiAnswer; sent?: SentRecord } {
  const draft: Draft = { body, account: undefined, customer: undefined, message: undefined };
  for (const name of world.settings.checkOrder) {
    const errcode = CHECKS[name](world, draft);
    if (errcode !== 0) return { answer: refuse(world, draft, errcode) };
  }
  const { account, customer, message } = draft;
  // A check order without these steps leaves nothing to send to.
  if (account === undefined || customer === undefined || message === undefined) {
    return { answer: refuse(world, draft, 40058) };
  }
  const msgid = text(body.msgid) || opaqueId(32);
  account.usedMsgids.add(msgid);
  customer.remaining = Math.max(customer.remaining - 1, 0);
  if (customer.session === 0) customer.session = 1;
  const sent = recordSent(world, customer, message, { msgid, arrivedAt, api: 'send_msg' });
  return { answer: accepted({ msgid }), sent };
}

/** Journals an accepted send and tells the chat page. */
export function recordSent(
  world: World,
  customer: Customer,
  message: ShapedMessage,
  call: { msgid: string; arrivedAt: number; api: SentRecord['api'] },
): SentRecord {
  const sent: SentRecord = {
    seq: world.journal.nextSeq(),
    openKfId: customer.openKfId,
    externalUserId: customer.externalUserId,
    msgid: call.msgid,
    msgtype: message.msgtype,
    content: message.content,
    original: message.original,
    originalBytes: Buffer.byteLength(message.original),
    truncated: message.content.length !== message.original.length,
    arrivedAt: call.arrivedAt,
    acceptedAt: world.clock.realMs(),
    remaining: customer.remaining,
    api: call.api,
  };
  world.journal.addSent(sent);
  world.journal.emit('sent', sent.acceptedAt, { sent, customer: describeCustomer(world, customer) });
  return sent;
}

export function recordRefused(
  world: World,
  api: string,
  body: Record<string, unknown>,
  answer: ApiAnswer,
  byFault: boolean,
): void {
  const { user, openKfId, msgid, text: content } = readSend(body);
  const at = world.clock.realMs();
  const { errcode, errmsg } = answer;
  const seq = world.journal.nextSeq();
  const record = { seq, api, openKfId, externalUserId: user, msgid, content, errcode, errmsg, at, byFault };
  world.journal.addRefused(record);
  world.journal.emit('refused', at, { refused: record });
}

const CHECKS: Record<SendCheck, Check> = {
  account: (world, draft) => {
    const openKfId = draft.body.open_kfid;
    if (typeof openKfId !== 'string' || openKfId === '') return 40058;
    if (!openKfId.startsWith('wk')) return 95000;
    draft.account = world.accounts.get(openKfId);
    return draft.account === undefined ? 95004 : 0;
  },
  shape: (world, draft) => {
    const { touser, msgid } = draft.body;
    if (typeof touser !== 'string' || touser === '') return 40058;
    if (msgid !== undefined && !isMsgid(msgid)) return 40058;
    const shaped = shapeMessage(world, draft.body, false);
    if (!shaped.ok) return shaped.errcode;
    draft.message = shaped.message;
    return 0;
  },
  customer: (_world, draft) => {
    draft.customer = draft.account?.customers.get(text(draft.body.touser));
    return draft.customer === undefined ? 40096 : 0;
  },
  msgid: (_world, draft) => {
    const msgid = text(draft.body.msgid);
    return msgid !== '' && draft.account?.usedMsgids.has(msgid) === true ? 95033 : 0;
  },
  session: (world, { customer }) => {
    if (customer === undefined || customer.session <= 1) return 0;
    // Never wrote: there is no session to be in the wrong state; the window says it better.
    if (customer.session === 4 && customer.lastMessageMs === undefined) return 0;
    return customer.session === 4 ? world.settings.endedSessionCode : 95018;
  },
  window: (world, { customer }) => {
    if (customer === undefined) return 0;
    const { lastMessageMs } = customer;
    const isOpen = lastMessageMs !== undefined && world.clock.nowMs() - lastMessageMs < world.settings.windowMs;
    return isOpen ? 0 : world.settings.windowCode;
  },
  allowance: (_world, { customer }) => (customer === undefined || customer.remaining > 0 ? 0 : 95001),
};

function refuse(world: World, draft: Draft, errcode: number): ApiAnswer {
  const msgid = text(draft.body.msgid);
  const burns = world.settings.burnMsgidOnRefusal && msgid !== '' && isMsgid(msgid);
  if (burns) draft.account?.usedMsgids.add(msgid);
  const answer = refusal(errcode);
  recordRefused(world, 'send_msg', draft.body, answer, false);
  return answer;
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
