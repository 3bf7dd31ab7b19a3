// The outcome of a call (to a bridge, to send_msg) whose partition moved while it was open.
import { z } from 'zod';
import { messageKind } from '../envelope.ts';

export const callSettled = messageKind(
  'call.settled',
  z.object({
    callId: z.string().min(1),
    /** As the service's own reducer defines it. */
    outcome: z.record(z.string(), z.unknown()),
  }),
);
export type CallSettled = z.infer<typeof callSettled.schema>;
