// A service's dead queue, what the broker itself has given up ─▶ the dead letters. Beside the mailboxes: it holds nothing up.
import { backoffMs, errorFields, type Logger, sleep } from '@pipeline/runtime';
import { type DeadLetterFields, deadLetterOf } from './dead-letter-of.ts';
import type { Broker, Delivery } from './types.ts';

const PREFETCH = 20;
const RETRY_FIRST_MS = 200;
const RETRY_MAX_MS = 10_000;

/**
 * Runs until stopped; every replica may. Acked only once it is kept.
 * @param keep must do nothing when it is told of the same letter again
 * @returns how to stop it
 */
export function drainDeadQueue(deps: {
  queue: string;
  broker: Pick<Broker, 'consume'>;
  keep(letter: DeadLetterFields): Promise<void>;
  logger: Logger;
}): () => Promise<void> {
  const { queue, broker, logger } = deps;
  const stopping = new AbortController();

  const drainOne = async (delivery: Delivery) => {
    const letter = brokersLetter(delivery);
    for (let attempt = 0; !stopping.signal.aborted; attempt++) {
      try {
        await deps.keep(letter);
        logger.error({ ...letter.origin, errorCode: letter.code }, 'dead-letter.drained');
        return delivery.ack();
      } catch (error) {
        logger.warn({ ...letter.origin, ...errorFields(error) }, 'dead-letter.not-kept');
        await sleep(backoffMs(attempt, RETRY_FIRST_MS, RETRY_MAX_MS), stopping.signal);
      }
    }
  };

  const consumer = broker.consume({
    queue,
    prefetch: PREFETCH,
    consumerTag: `${queue}-${crypto.randomUUID()}`,
    onDelivery: (delivery) => void drainOne(delivery),
  });
  return () => {
    stopping.abort();
    return consumer.close();
  };
}

/** Where it came from and why it died stands in the headers; its own exchange is that of the dead letters. */
function brokersLetter(delivery: Delivery): DeadLetterFields {
  const [death = {}] = (delivery.headers['x-death'] ?? []) as Record<string, unknown>[];
  const { exchange, queue, count, 'routing-keys': routingKeys } = death;
  const cause = String(delivery.headers['x-first-death-reason'] ?? death.reason ?? 'unknown');
  const [routingKey = ''] = (routingKeys ?? []) as string[];
  const origin = { ...delivery, exchange: String(exchange ?? ''), routingKey };
  return deadLetterOf(origin, {
    reason: `given up by RabbitMQ in ${String(queue ?? 'a queue')}: ${cause}`,
    code: `broker-${cause.replaceAll('_', '-')}`,
    attempts: Number(count ?? 1),
  });
}
