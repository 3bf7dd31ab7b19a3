// "What became of this item?" From the router, whose hold waits, to the sender's mailbox.
import { z } from 'zod';
import { messageKind } from '../envelope.ts';

export const settlementAsked = messageKind('settlement.asked', z.object({ msgId: z.string().min(1) }));
export type SettlementAsked = z.infer<typeof settlementAsked.schema>;
