// What is kept of a delivery that is given up.
import { createHash } from 'node:crypto';
import { exchanges } from '@pipeline/contracts';
import type { Delivery } from './types.ts';

export interface DeadLetterFields {
  reason: string;
  code: string;
  attempts: number;
  origin: { type: string; messageId: string; correlationId: string; userKey: string | null; exchange: string | null };
  body: string;
}

type Given = Pick<Delivery, 'type' | 'messageId' | 'correlationId' | 'exchange' | 'routingKey' | 'content'>;

/** Only in front of the mailboxes is the routing key a user's. */
const MAILBOX_EXCHANGES: string[] = [exchanges.routerMailboxes, exchanges.senderMailboxes];

export function deadLetterOf(
  { type, messageId, correlationId, exchange, routingKey, content }: Given,
  why: Pick<DeadLetterFields, 'reason' | 'code' | 'attempts'>,
): DeadLetterFields {
  const origin = {
    type,
    // Without an id of its own, one that tells it from others and is the same when it comes again.
    messageId: messageId || createHash('sha256').update(content).digest('hex'),
    correlationId,
    userKey: MAILBOX_EXCHANGES.includes(exchange) ? routingKey : null,
    exchange: exchange || null,
  };
  return { ...why, origin, body: content.toString('utf8') };
}
