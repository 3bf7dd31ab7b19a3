// Chat page: what is known of every open chat, built from a snapshot and then from events. Pure, no DOM.
import { describeBody } from './message-text.js';

/** @param {{ openKfId: string, externalUserId: string }} ids */
export function chatKey({ openKfId, externalUserId }) {
  return `${openKfId}:${externalUserId}`;
}

export function createModel() {
  return { chats: new Map(), others: new Map(), byMsgid: new Map(), totals: emptyTotals() };
}

function emptyTotals() {
  return { messages: 0, pulled: 0, sent: 0, refused: 0 };
}

/** A chat that nothing has happened in yet. */
export function openChat(model, { openKfId, externalUserId, nickname, allowance = 5 }) {
  const key = chatKey({ openKfId, externalUserId });
  const chat = {
    key,
    openKfId,
    externalUserId,
    nickname,
    allowance,
    remaining: 0,
    windowEndsAt: null,
    session: 4,
    lastWrittenAt: null,
    entries: [],
  };
  model.chats.set(key, chat);
  model.others.delete(key);
  return chat;
}

export function closeChat(model, key) {
  const chat = model.chats.get(key);
  if (chat === undefined) return;
  for (const [msgid, found] of model.byMsgid) if (found.chat === chat) model.byMsgid.delete(msgid);
  model.chats.delete(key);
  model.others.set(key, { openKfId: chat.openKfId, externalUserId: chat.externalUserId, nickname: chat.nickname });
}

/** Fills chats from the server's snapshot; what was there before is replaced. */
export function loadSnapshot(model, snapshot) {
  model.totals = { ...emptyTotals(), ...snapshot.totals };
  for (const other of snapshot.others) {
    if (!model.chats.has(chatKey(other))) model.others.set(chatKey(other), other);
  }
  for (const { customer, messages, sent, refused } of snapshot.chats) {
    const chat = openChat(model, customer);
    takeCustomer(chat, customer);
    const steps = [
      ...messages.map((message) => ({
        at: message.injectedAt,
        add: () => addWritten(model, chat, message.item, message),
      })),
      ...sent.map((record) => ({ at: record.acceptedAt, add: () => addSent(model, chat, record) })),
      ...refused.map((record) => ({ at: record.at, add: () => addRefused(model, chat, record) })),
    ];
    for (const step of steps.sort((a, b) => a.at - b.at)) step.add();
  }
}

/**
 * Applies one event of the stream. Returns the keys of the chats it changed; a customer nobody has open
 * is noted in `others`.
 */
export function applyEvent(model, event) {
  switch (event.type) {
    case 'customerMessage': {
      model.totals.messages += 1;
      return withChat(model, event.customer, (chat) => {
        takeCustomer(chat, event.customer);
        addWritten(model, chat, event.item, { injectedAt: event.at, firstReturnedAt: null });
      });
    }
    case 'pulled': {
      const changed = new Set();
      for (const msgid of event.msgids) {
        const found = model.byMsgid.get(`in:${event.openKfId}:${msgid}`);
        if (found === undefined) continue;
        found.entry.pulledAt = event.at;
        changed.add(found.chat.key);
      }
      model.totals.pulled += event.messages ?? 0;
      return [...changed];
    }
    case 'sent': {
      model.totals.sent += 1;
      return withChat(model, event.customer, (chat) => {
        takeCustomer(chat, event.customer);
        addSent(model, chat, event.sent);
      });
    }
    case 'refused': {
      model.totals.refused += 1;
      const chat = model.chats.get(chatKey(event.refused));
      if (chat === undefined) return [];
      addRefused(model, chat, event.refused);
      return [chat.key];
    }
    case 'sendFailed': {
      const found = model.byMsgid.get(`out:${event.openKfId}:${event.msgid}`);
      if (found === undefined) return [];
      found.entry.failType = event.failType;
      return [found.chat.key];
    }
    case 'session': {
      const chat = model.chats.get(chatKey(event.customer));
      if (chat === undefined) return [];
      takeCustomer(chat, event.customer);
      return [chat.key];
    }
    default:
      return [];
  }
}

function withChat(model, customer, change) {
  const key = chatKey(customer);
  const chat = model.chats.get(key);
  if (chat === undefined) {
    model.others.delete(key);
    model.others.set(key, customer);
    return [];
  }
  change(chat);
  return [key];
}

function takeCustomer(chat, customer) {
  const { nickname, remaining, allowance, windowEndsAt, session } = customer;
  Object.assign(chat, { nickname, remaining, allowance, windowEndsAt, session });
}

function addWritten(model, chat, item, { injectedAt, firstReturnedAt }) {
  const body = describeBody(item.msgtype, item[item.msgtype]);
  chat.lastWrittenAt = injectedAt;
  const key = `in:${chat.openKfId}:${item.msgid ?? `${chat.key}#${chat.entries.length}`}`;
  append(model, chat, { key, from: 'user', at: injectedAt, ...body, pulledAt: firstReturnedAt });
}

function addSent(model, chat, sent) {
  const body =
    sent.msgtype === 'text' ? { kind: 'text', text: sent.content } : describeBody(sent.msgtype, parse(sent.content));
  append(model, chat, {
    key: `out:${chat.openKfId}:${sent.msgid}`,
    from: 'kf',
    at: sent.acceptedAt,
    ...body,
    waitedMs: chat.lastWrittenAt === null ? null : sent.acceptedAt - chat.lastWrittenAt,
    truncated: sent.truncated,
    originalBytes: sent.originalBytes,
    remaining: sent.remaining,
    failType: sent.failType ?? null,
  });
}

function addRefused(model, chat, refused) {
  const key = `refused:${refused.seq}`;
  const { at, errcode, errmsg, content, byFault } = refused;
  const last = chat.entries.at(-1);
  if (last?.from === 'refused' && last.errcode === errcode) {
    // The same again and again: one line that counts.
    if (!model.byMsgid.has(key)) Object.assign(last, { at, errmsg, text: content, count: last.count + 1 });
    model.byMsgid.set(key, { chat, entry: last });
    return;
  }
  append(model, chat, { key, from: 'refused', at, kind: 'text', text: content, errcode, errmsg, byFault, count: 1 });
}

/** An entry seen before (a replay of the stream) stays as it is. */
function append(model, chat, entry) {
  if (model.byMsgid.has(entry.key)) return;
  chat.entries.push(entry);
  model.byMsgid.set(entry.key, { chat, entry });
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    // Only shown: a body that can't be read is shown by its type.
    return null;
  }
}
