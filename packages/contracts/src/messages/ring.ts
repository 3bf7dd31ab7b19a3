// "There is something to pull": WeCom's doorbell, passed on to the replica of ingest that pulls.
import { z } from 'zod';
import { messageKind } from '../envelope.ts';

export const ring = messageKind(
  'ring',
  z.object({
    openKfId: z.string().min(1),
    /** For sync_msg, good for 10 minutes; null if the notification had none. */
    token: z.string().min(1).nullable(),
  }),
);
export type Ring = z.infer<typeof ring.schema>;
