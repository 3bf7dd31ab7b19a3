// Events on which our own code throws: tried a few times, then parked, so that they don't hold their user for ever.
import type { Delivery } from '@pipeline/broker';
import { backoffMs, describeError, errorCode, errorFields, type Logger, sleep } from '@pipeline/runtime';
import type { Store } from '@pipeline/store';

const MAX_ATTEMPTS = 5;
const RETRY_FIRST_MS = 200;
const RETRY_MAX_MS = 5_000;

export interface FailedEvent {
  type: string;
  id: string;
  userKey: string;
  /** As it came from the broker; null for events born in this process. */
  delivery: Delivery | null;
  body: unknown;
}

/**
 * Counts a failure in MongoDB and waits a little.
 * @returns whether to try again; false once the event stands in the dead letters
 * @throws RetryableError `store-away`
 */
export async function retryOrPark(
  deps: { service: string; store: Pick<Store, 'poisonCounts' | 'deadLetters'>; logger: Logger },
  event: FailedEvent,
  error: unknown,
): Promise<boolean> {
  const { service, store, logger } = deps;
  const attempts = await store.poisonCounts.raise(service, event.id);
  const facts = { userKey: event.userKey, messageId: event.id, type: event.type, attempts, ...errorFields(error) };
  if (attempts < MAX_ATTEMPTS) {
    logger.error(facts, 'event.threw');
    await sleep(backoffMs(attempts - 1, RETRY_FIRST_MS, RETRY_MAX_MS));
    return true;
  }
  await store.deadLetters.keep({
    service,
    reason: describeError(error),
    code: errorCode(error),
    attempts,
    origin: {
      type: event.type,
      messageId: event.id,
      correlationId: event.delivery?.correlationId ?? event.id,
      userKey: event.userKey,
      exchange: event.delivery?.exchange ?? null,
    },
    body: event.body,
  });
  await store.poisonCounts.clear(service, event.id);
  logger.error(facts, 'event.parked');
  return false;
}
