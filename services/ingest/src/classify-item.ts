// ingest: what an item of sync_msg is to us. Pure: no look-up, no clock.
import type { SyncItem } from '@pipeline/wecom';

const CODE = /^[0-9A-F]{6}$/;
const CONTINUATION_WORDS = new Set(['继续', '更多', 'more', 'continue']);

export type ClassifiedItem =
  | {
      kind: 'message';
      msgId: string;
      externalUserId: string;
      sendTime: number;
      msgtype: string;
      /** As written; null for anything but text. */
      text: string | null;
      /** The six upper-case hex digits, if the text is nothing else: perhaps a binding code. */
      codeShape: string | null;
      /** Only a word that asks for the rest of an answer; the sender knows whether there is one. */
      isContinuation: boolean;
    }
  | { kind: 'send_fail'; msgId: string; externalUserId: string; failMsgid: string; failType: number; type: string }
  /** Recorded and counted, nothing else. `type` is the msgtype, or what the event or fault is. */
  | { kind: 'too_old' | 'event' | 'servicer' | 'malformed'; msgId: string | null; type: string };

/**
 * @param notBefore epoch ms; customer messages sent earlier are older than the account's first start allows
 */
export function classifyItem(item: SyncItem, notBefore: number): ClassifiedItem {
  if (item.kind === 'malformed') return { kind: 'malformed', msgId: item.msgId, type: item.reason };
  if (item.kind === 'servicer') return { kind: 'servicer', msgId: item.msgId, type: item.msgtype };
  if (item.kind === 'event') return classifyEvent(item);
  const { msgId, externalUserId, sendTime, msgtype, text } = item;
  if (sendTime * 1000 < notBefore) return { kind: 'too_old', msgId, type: msgtype };
  const trimmed = (text ?? '').trim();
  const upper = trimmed.toUpperCase();
  return {
    kind: 'message',
    msgId,
    externalUserId,
    sendTime,
    msgtype,
    text,
    codeShape: CODE.test(upper) ? upper : null,
    isContinuation: CONTINUATION_WORDS.has(trimmed.toLowerCase()),
  };
}
