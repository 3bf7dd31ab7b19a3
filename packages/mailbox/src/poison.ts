// Events on which our own code throws: tried a few times, then parked, so that they don't hold their user for ever.
import type { Delivery } from '@pipeline/broker';
import { backoffMs, describeError, errorCode, errorFields, type Logger, sleep } from '@pipeline/runtime';
import type { Store } from '@pipeline/store';
import type { Verdict } from './actor-types.ts';

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
  /** "Look at your clock" is never given up: its user would be stuck for ever. */
  isWake: boolean;
}

/**
 * Counts a failure in MongoDB and waits a little.
 * @param parked tells whoever waits for the event, once it stands in the dead letters; if it throws, that is tried again
 * @throws RetryableError `store-away`
 */
export async function retryOrPark(
  deps: { service: string; store: Pick<Store, 'poisonCounts' | 'deadLetters'>; logger: Logger },
  event: FailedEvent,
  error: unknown,
  parked: () => Promise<void>,
): Promise<Verdict> {
  const { service, store, logger } = deps;
  // By user too: events born in this process have ids of their own only within their user. Each wake has another id.
  const countId = `${event.userKey}:${event.isWake ? 'wake' : event.id}`;
  const attempts = await store.poisonCounts.raise(service, countId);
  const facts = { userKey: event.userKey, messageId: event.id, type: event.type, attempts, ...errorFields(error) };
  const pause = () => sleep(backoffMs(attempts - 1, RETRY_FIRST_MS, RETRY_MAX_MS));
  if (attempts < MAX_ATTEMPTS) {
    logger.error(facts, 'event.threw');
    await pause();
    return 'retry';
  }
  if (event.isWake) {
    await store.poisonCounts.clear(service, countId);
    logger.error(facts, 'wake.put-off');
    return 'put-off';
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
  try {
    await parked();
  } catch (cause) {
    // The broker is away or refuses: nobody may be left waiting for an event that nobody will handle.
    logger.warn({ ...facts, ...errorFields(cause) }, 'event.parking-failed');
    await pause();
    return 'retry';
  }
  await store.poisonCounts.clear(service, countId);
  logger.error(facts, 'event.parked');
  return 'parked';
}
