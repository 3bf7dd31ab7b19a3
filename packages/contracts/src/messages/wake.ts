// "Look at your clock": a due time in the actor's state has passed. From the sweep or a timer.
import { z } from 'zod';
import { messageKind } from '../envelope.ts';

export const wake = messageKind('wake', z.object({}));
export type Wake = z.infer<typeof wake.schema>;
