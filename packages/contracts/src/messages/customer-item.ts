// One message of a customer, as sync_msg returned it. From ingest to the router's mailbox; if nobody else would tell the
// sender of it, to the sender's before.
import { z } from 'zod';
import { messageKind } from '../envelope.ts';

export const customerItem = messageKind(
  'customer.item',
  z.object({
    msgId: z.string().min(1),
    /** Epoch seconds, WeCom's clock. */
    sendTime: z.number().int(),
    /** When we had got the page it stood on, epoch ms, database clock: what began later came after the message. */
    receivedAt: z.number(),
    msgtype: z.string(),
    /** The text as written, for `msgtype` text; null for any other kind. */
    text: z.string().nullable(),
    /** Set when somebody else decides what the item is (a hold in the conversation): see ARCHITECTURE.md. */
    decidedBy: z.enum(['binder', 'sender']).nullable(),
    /** For `decidedBy: binder`: whether the code was claimed for this item or had run out. */
    match: z.enum(['claimed', 'expired']).nullable(),
  }),
);
export type CustomerItem = z.infer<typeof customerItem.schema>;
