// A bridge's answer stands on its task. From the callback endpoint (or the sweep) to the router's mailbox.
import { z } from 'zod';
import { messageKind } from '../envelope.ts';

export const answerStored = messageKind('answer.stored', z.object({ msgId: z.string().min(1) }));
export type AnswerStored = z.infer<typeof answerStored.schema>;
