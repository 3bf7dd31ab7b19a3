// What a held item turned out to be. From binder or sender to the router's mailbox.
import { z } from 'zod';
import { messageKind } from '../envelope.ts';

export const itemSettled = messageKind(
  'item.settled',
  z.object({
    msgId: z.string().min(1),
    /** True: it was a code or a continuation word and vanishes; false: it is an ordinary message at its place. */
    consumed: z.boolean(),
  }),
);
export type ItemSettled = z.infer<typeof itemSettled.schema>;
