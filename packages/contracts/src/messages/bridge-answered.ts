// A bridge has answered a task. From the callback endpoint to the router's mailbox.
import { z } from 'zod';
import { messageKind } from '../envelope.ts';

export const bridgeAnswered = messageKind(
  'bridge.answered',
  z.object({
    msgId: z.string().min(1),
    ok: z.boolean(),
    /** The answer, or the bridge's error text when `ok` is false. */
    content: z.string(),
    isTimeout: z.boolean(),
  }),
);
export type BridgeAnswered = z.infer<typeof bridgeAnswered.schema>;
