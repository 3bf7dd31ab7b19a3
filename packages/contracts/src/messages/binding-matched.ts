// An item named a binding code. From ingest (or, asking again, the router) to the binder.
import { z } from 'zod';
import { messageKind } from '../envelope.ts';

export const bindingMatched = messageKind(
  'binding.matched',
  z.object({
    openKfId: z.string().min(1),
    externalUserId: z.string().min(1),
    /** The item that named the code; the claimed code is found by it. */
    msgId: z.string().min(1),
    match: z.enum(['claimed', 'expired']),
  }),
);
export type BindingMatched = z.infer<typeof bindingMatched.schema>;
