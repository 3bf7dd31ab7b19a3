// ingest: one classified item ─▶ its messages, each confirmed before the next is published.
import type { Publisher } from '@pipeline/broker';
import {
  BINDER_QUEUE,
  type BindingMatched,
  bindingMatched,
  type CustomerItem,
  customerItem,
  exchanges,
  type MsgSendFail,
  msgSendFail,
  userKeyOf,
} from '@pipeline/contracts';
import type { ClaimCode } from './claim-code.ts';
import type { ClassifiedItem } from './classify-item.ts';

type Message = Extract<ClassifiedItem, { kind: 'message' }>;
type SendFail = Extract<ClassifiedItem, { kind: 'send_fail' }>;

/**
 * Publishes a customer's message or a failed delivery. Repeating it publishes the same ids again.
 * @param receivedAt when its page had come, epoch ms, database clock
 * @throws RetryableError or PermanentError `publish-unroutable` of the publisher, RetryableError `store-away`
 */
export type PublishItem = (openKfId: string, item: Message | SendFail, receivedAt: number) => Promise<void>;

export function createPublishItem(deps: { publisher: Publisher; claimCode: ClaimCode }): PublishItem {
  const { publisher, claimCode } = deps;

  const publishMessage = async (openKfId: string, item: Message, receivedAt: number) => {
    const { msgId, externalUserId, sendTime, type: msgtype, text } = item;
    const userKey = userKeyOf({ openKfId, externalUserId });
    const match = item.codeShape === null ? null : await claimCode({ userKey, msgId, sendTime, code: item.codeShape });
    const decidedBy = match ? 'binder' : item.isContinuation ? 'sender' : null;
    const body: CustomerItem = { msgId, sendTime, receivedAt, msgtype, text, decidedBy, match };
    const message = { type: customerItem.type, messageId: msgId, correlationId: msgId, body };
    // It renews the allowance: the first text about it tells the sender so. Without one to come at once we do, before that
    // text can be there.
    const isRouterSilent = decidedBy !== null || item.isBlank;
    if (isRouterSilent) await publisher.publish(exchanges.senderMailboxes, userKey, message);
    await publisher.publish(exchanges.routerMailboxes, userKey, message);
    if (match === null) return;
    // Last: the hold stands in the conversation before anybody settles it.
    const matched: BindingMatched = { openKfId, externalUserId, msgId, match };
    await publisher.publish(exchanges.binder, BINDER_QUEUE, {
      type: bindingMatched.type,
      messageId: `${msgId}:matched`,
      correlationId: msgId,
      body: matched,
    });
  };

  const publishSendFail = async (openKfId: string, item: SendFail) => {
    const { msgId, externalUserId, failMsgid, failType } = item;
    const body: MsgSendFail = { msgId, failMsgid, failType };
    await publisher.publish(exchanges.senderMailboxes, userKeyOf({ openKfId, externalUserId }), {
      type: msgSendFail.type,
      messageId: msgId,
      correlationId: msgId,
      body,
    });
  };

  return (openKfId, item, receivedAt) =>
    item.kind === 'message' ? publishMessage(openKfId, item, receivedAt) : publishSendFail(openKfId, item);
}
