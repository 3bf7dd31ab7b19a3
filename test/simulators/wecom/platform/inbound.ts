// WeCom simulator: what customers and humans do, as it enters the message log that sync_msg reads.
import type { LogEntry, LogItem } from './account-log.ts';
import { opaqueId } from './random.ts';
import { type Account, customerOf, describeCustomer, type World } from './world.ts';

export type CustomerMessage = {
  externalUserId: string;
  openKfId: string;
  msgtype: string;
  /** The object named after `msgtype`; null for types that carry none. */
  body: Record<string, unknown> | null;
  /** Unix seconds; now when absent. */
  sendTime?: number | undefined;
  msgid?: string | undefined;
};

/** Appends a customer's message, renews the allowance and opens the session as the platform would. */
export function addCustomerMessage(world: World, account: Account, message: CustomerMessage): LogEntry {
  const item: LogItem = {
    msgid: message.msgid ?? opaqueId(26),
    open_kfid: account.openKfId,
    external_userid: message.externalUserId,
    send_time: message.sendTime ?? world.clock.nowS(),
    origin: 3,
    msgtype: message.msgtype,
  };
  if (message.body !== null) item[message.msgtype] = message.body;
  return addItem(world, account, item);
}

/** Appends any item as it is; an item of origin 3 with a customer in it counts as the customer's message. */
export function addItem(world: World, account: Account, item: LogItem): LogEntry {
  const now = world.clock.realMs();
  const sendTime = typeof item.send_time === 'number' ? item.send_time : world.clock.nowS();
  const entry = account.log.append(item, sendTime, now);
  if (typeof item.msgid === 'string') account.indexByMsgid.set(item.msgid, entry.index);
  const externalUserId = item.external_userid;
  if (item.origin === 3 && typeof externalUserId === 'string' && externalUserId !== '') {
    const customer = customerOf(account, externalUserId);
    customer.messageIndexes.push(entry.index);
    world.totals.messages += 1;
    const sentMs = sendTime * 1000;
    if (customer.lastMessageMs === undefined || sentMs >= customer.lastMessageMs) {
      customer.lastMessageMs = sentMs;
      customer.remaining = world.settings.allowance;
    }
    if (customer.session === 4) customer.session = 0;
    const fields = { openKfId: account.openKfId, item, customer: describeCustomer(world, customer) };
    world.journal.emit('customerMessage', now, fields);
  } else {
    world.journal.emit('item', now, { openKfId: account.openKfId, item });
  }
  return entry;
}

/** Appends a system event: the outer ids are missing, as on the real platform; they stand inside `event`. */
export function addEvent(world: World, account: Account, event: Record<string, unknown>): LogEntry {
  return addItem(world, account, {
    msgid: opaqueId(26),
    send_time: world.clock.nowS(),
    origin: 4,
    msgtype: 'event',
    event: { ...event, open_kfid: account.openKfId },
  });
}

/** The customer opens the chat through a KF link; a welcome code comes along when the platform would give one. */
export function enterSession(
  world: World,
  account: Account,
  entry: { externalUserId: string; scene: string; sceneParam: string },
): { logEntry: LogEntry; welcomeCode: string | undefined } {
  const customer = customerOf(account, entry.externalUserId);
  const now = world.clock.nowMs();
  customer.lastEnterMs = now;
  const { welcomedMs } = customer;
  const wasWelcomed = welcomedMs !== undefined && now - welcomedMs < world.settings.windowMs;
  const welcomeCode = wasWelcomed || customer.lastMessageMs !== undefined ? undefined : opaqueId(32);
  if (welcomeCode !== undefined) {
    const { openKfId } = account;
    const { externalUserId, session } = customer;
    const expiresAt = now + 20_000;
    world.eventCodes.set(welcomeCode, { kind: 'welcome', openKfId, externalUserId, expiresAt, session });
  }
  const logEntry = addEvent(world, account, {
    event_type: 'enter_session',
    external_userid: entry.externalUserId,
    scene: entry.scene,
    scene_param: entry.sceneParam,
    ...(welcomeCode === undefined ? {} : { welcome_code: welcomeCode }),
  });
  return { logEntry, welcomeCode };
}
