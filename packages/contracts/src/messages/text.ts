// A text for the user. From router or binder to the sender's mailbox.
import { z } from 'zod';
import { messageKind } from '../envelope.ts';
import type { CustomerItem } from './customer-item.ts';

export const textKinds = ['answer', 'notice', 'courtesy'] as const;

export const text = messageKind(
  'text',
  z.object({
    /** Derived from the message it is about, so a repeat is recognised. */
    textId: z.string().min(1),
    /** The customer message it is about; a courtesy is dropped once an answer about the same one is there. */
    msgId: z.string().min(1),
    /** Who gives way when WeCom's allowance runs short: courtesy first, then notices, never answers. */
    kind: z.enum(textKinds),
    /** When it was decided, epoch ms (database clock), the same in each repeat: courtesy grows stale. */
    decidedAt: z.number(),
    content: z.string(),
    /** How many more answers this user is owed: turns running or waiting, the one that this text ends not among them. */
    expected: z.number().int().nonnegative().optional(),
    /** Of the first texts about a message: by what that message renews the allowance. Nobody else tells the sender of it. */
    renewal: z
      .object({
        /** As in `customer.item`. */
        sendTime: z.number().int(),
        receivedAt: z.number(),
      })
      .optional(),
    /** Of a replay: what is left of an earlier text, to be sent as it is; `content` is then that whole text. */
    parts: z
      .array(z.object({ content: z.string(), at: z.number().int(), fence: z.string().nullable() }))
      .min(1)
      .optional(),
  }),
);
export type Text = z.infer<typeof text.schema>;
export type TextKind = Text['kind'];
export type Renewal = NonNullable<Text['renewal']>;

export const renewalBy = ({ sendTime, receivedAt }: CustomerItem): Renewal => ({ sendTime, receivedAt });
