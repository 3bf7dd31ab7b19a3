// ingest: what an item of sync_msg is to us. Pure: no look-up, no clock.
import type { CustomerItem, EventItem, SyncItem } from '@pipeline/wecom';

const CODE = /^[0-9A-F]{6}$/;
const CONTINUATION_WORDS = new Set(['继续', '更多', 'more', 'continue']);

export type ClassifiedItem =
  | {
      kind: 'message';
      msgId: string;
      externalUserId: string;
      sendTime: number;
      /** The msgtype. */
      type: string;
      /** As written; null for anything but text. */
      text: string | null;
      /** The six upper-case hex digits, if the text is nothing else: perhaps a binding code. */
      codeShape: string | null;
      /** Only a word that asks for the rest of an answer; the sender knows whether there is one. */
      isContinuation: boolean;
      /** A text of white space only: nobody replies to it. */
      isBlank: boolean;
    }
  | { kind: 'send_fail'; msgId: string; externalUserId: string; failMsgid: string; failType: number; type: string }
  /** Recorded and counted, nothing else. `type` is the msgtype, or what the event or fault is. */
  | { kind: 'too_old' | 'event' | 'servicer' | 'malformed'; msgId: string | null; type: string };

/**
 * @param notBefore epoch ms; customer messages sent earlier are older than the account's first start allows
 */
export function classifyItem(item: SyncItem, notBefore: number): ClassifiedItem {
  switch (item.kind) {
    case 'malformed':
      return { kind: 'malformed', msgId: item.msgid ?? null, type: item.reason };
    case 'servicer':
      return { kind: 'servicer', msgId: item.msgid, type: item.msgtype };
    case 'event':
      return classifyEvent(item);
    case 'customer':
      if (item.sendTime < Math.floor(notBefore / 1000))
        return { kind: 'too_old', msgId: item.msgid, type: item.msgtype };
      return classifyMessage(item);
  }
}

function classifyMessage({ msgid, externalUserId, sendTime, msgtype, text }: CustomerItem): ClassifiedItem {
  const trimmed = (text ?? '').trim();
  const upper = trimmed.toUpperCase();
  return {
    kind: 'message',
    msgId: msgid,
    externalUserId,
    sendTime,
    type: msgtype,
    text: text ?? null,
    codeShape: CODE.test(upper) ? upper : null,
    isBlank: text != null && trimmed === '',
    isContinuation: CONTINUATION_WORDS.has(trimmed.toLowerCase()),
  };
}

function classifyEvent({ msgid, eventType, externalUserId, failMsgid, failType }: EventItem): ClassifiedItem {
  if (eventType !== 'msg_send_fail') return { kind: 'event', msgId: msgid, type: eventType };
  // Without these the sender can't tell which part of which text has failed.
  if (externalUserId === undefined || failMsgid === undefined)
    return { kind: 'malformed', msgId: msgid, type: 'msg_send_fail without its ids' };
  return { kind: 'send_fail', msgId: msgid, externalUserId, failMsgid, failType: failType ?? 0, type: eventType };
}
