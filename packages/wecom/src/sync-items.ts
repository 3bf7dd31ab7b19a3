// One raw item of sync_msg, read leniently: whatever JSON it is, the page goes on.

export interface CustomerItem {
  kind: 'customer';
  msgid: string;
  externalUserId: string;
  /** Seconds since 1970. */
  sendTime: number;
  /** text, image, voice … or something WeCom invents tomorrow. */
  msgtype: string;
  /** With msgtype `text` only, as the customer wrote it. */
  text?: string;
}

export interface EventItem {
  kind: 'event';
  msgid: string;
  eventType: string;
  externalUserId?: string;
  sendTime: number;
  /** Of `msg_send_fail`: the msgid we sent, and why it failed (path/94670). */
  failMsgid?: string;
  failType?: number;
}

/** What a human servicer wrote in the WeCom client. */
export interface ServicerItem {
  kind: 'servicer';
  msgid: string;
  externalUserId?: string;
  sendTime: number;
  msgtype: string;
}

export interface MalformedItem {
  kind: 'malformed';
  /** What stands where a msgid should, cut to a length that can be logged. */
  msgid?: string;
  /** For log and counter; holds nothing of the item. */
  reason: string;
}

export type SyncItem = CustomerItem | EventItem | ServicerItem | MalformedItem;

interface Polled {
  /** The account that was asked for. */
  openKfId: string;
  /** Seconds since 1970, for an item whose `send_time` can't be one. */
  nowS: number;
}

/** An id travels in routing keys and properties of at most 255 bytes; WeCom's own have at most 64. */
const MAX_ID_BYTES = 120;
/** A `send_time` may be this far ahead of our clock. */
const MAX_AHEAD_S = 86_400;

type Fields = Readonly<Record<string, unknown>>;

const asFields = (value: unknown): Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : {};

function idOf(value: unknown): string | undefined {
  if (typeof value !== 'string' || value === '') return undefined;
  const id = value.toWellFormed();
  return Buffer.byteLength(id) <= MAX_ID_BYTES ? id : undefined;
}

const wholeNumber = (value: unknown): number | undefined => {
  const number = typeof value === 'string' && /^\d+$/.test(value) ? Number(value) : value;
  return typeof number === 'number' && Number.isSafeInteger(number) ? number : undefined;
};

const optional = <Name extends string, T>(name: Name, value: T | undefined) =>
  (value === undefined ? {} : { [name]: value }) as { [K in Name]?: T };

/**
 * Never throws. Malformed are: not an object, no usable `msgid`, a customer's item without a usable `external_userid`
 * (a string of 1 to 120 bytes each), an origin other than 3, 4 and 5, an item of another account than the one asked for
 * (WeCom filters by it, path/94670; answering through this one would reach somebody else). A missing or impossible
 * `send_time` counts as now.
 */
export function parseSyncItem(raw: unknown, polled: Polled): SyncItem {
  const item = asFields(raw);
  const malformed = (reason: string): MalformedItem => ({
    kind: 'malformed',
    reason,
    ...(typeof item.msgid === 'string' && { msgid: item.msgid.slice(0, MAX_ID_BYTES).toWellFormed() }),
  });
  if (item !== raw) return malformed('not an object');
  const msgid = idOf(item.msgid);
  if (msgid === undefined) return malformed('no msgid');
  // Events carry their ids inside (path/94670).
  const event = asFields(item.event);
  const openKfId = idOf(item.open_kfid) ?? idOf(event.open_kfid);
  if (openKfId !== undefined && openKfId !== polled.openKfId) return malformed('of another account');
  const externalUserId = idOf(item.external_userid) ?? idOf(event.external_userid);
  const sent = wholeNumber(item.send_time);
  const sendTime = sent !== undefined && sent > 0 && sent <= polled.nowS + MAX_AHEAD_S ? sent : polled.nowS;
  const msgtype = typeof item.msgtype === 'string' ? item.msgtype.toWellFormed() : 'unknown';
  const common = { msgid, sendTime };

  switch (wholeNumber(item.origin)) {
    case 3: {
      if (externalUserId === undefined) return malformed('customer item without external_userid');
      if (msgtype !== 'text') return { kind: 'customer', ...common, externalUserId, msgtype };
      const { content } = asFields(item.text);
      const text = typeof content === 'string' ? content.toWellFormed() : '';
      return { kind: 'customer', ...common, externalUserId, msgtype, text };
    }
    case 4:
      return {
        kind: 'event',
        ...common,
        eventType: typeof event.event_type === 'string' ? event.event_type.toWellFormed() : msgtype,
        ...optional('externalUserId', externalUserId),
        ...optional('failMsgid', idOf(event.fail_msgid)),
        ...optional('failType', wholeNumber(event.fail_type)),
      };
    case 5:
      return { kind: 'servicer', ...common, msgtype, ...optional('externalUserId', externalUserId) };
    default:
      return malformed('unknown origin');
  }
}
