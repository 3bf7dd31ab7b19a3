// Events on which our own code throws, or dies: tried a few times, then parked, so that they don't hold their user for ever.
import { type Delivery, deadLetterOf } from '@pipeline/broker';
import {
  backoffMs,
  describeError,
  errorCode,
  errorFields,
  type Logger,
  PermanentError,
  sleep,
} from '@pipeline/runtime';
import type { Store } from '@pipeline/store';
import type { Verdict } from '../actor/input.ts';

const MAX_ATTEMPTS = 5;
const RETRY_FIRST_MS = 200;
const RETRY_MAX_MS = 5_000;
const DEADLY = new PermanentError('event-deadly', 'the process died whenever it handled this event');

export interface FailedEvent {
  type: string;
  id: string;
  userKey: string;
  /** As it came from the broker; null for events born in this process. */
  delivery: Delivery | null;
  /** What its body would be on the broker. */
  body: object;
  /** "Look at your clock" is never given up: its user would be stuck for ever. */
  isWake: boolean;
  /** Tells whoever waits for the event, once it stands in the dead letters; if it throws, that is tried again. */
  tellParked(): Promise<void>;
}

export interface PoisonDeps {
  service: string;
  store: Pick<Store, 'poisonCounts' | 'deadLetters'>;
  logger: Logger;
}

/** Counts a failure in MongoDB and waits a little. @throws RetryableError `store-away` */
export async function retryOrPark(deps: PoisonDeps, event: FailedEvent, error: unknown): Promise<Verdict> {
  const { service, store, logger } = deps;
  const attempts = await store.poisonCounts.raise(service, poisonId(event));
  const facts = { userKey: event.userKey, messageId: event.id, type: event.type, attempts, ...errorFields(error) };
  if (attempts < MAX_ATTEMPTS) logger.error(facts, 'event.threw');
  else if (event.isWake) logger.error(facts, 'wake.put-off');
  if (attempts < MAX_ATTEMPTS || !(event.isWake || (await park(deps, event, error, attempts)))) {
    await pause(attempts);
    return 'retry';
  }
  await store.poisonCounts.clear(service, poisonId(event));
  return event.isWake ? 'put-off' : 'parked';
}

/**
 * For an event that may have killed processes: counts the trial that is to follow, or gives the event up unseen.
 * @returns `retry`: run it
 * @throws RetryableError `store-away`
 */
export async function judgeSuspect(deps: PoisonDeps, event: FailedEvent): Promise<Verdict> {
  const attempts = await deps.store.poisonCounts.raise(deps.service, trialId(event));
  if (attempts < MAX_ATTEMPTS) return 'retry';
  if (event.isWake) {
    deps.logger.error({ userKey: event.userKey, attempts, errorCode: DEADLY.code }, 'wake.put-off');
    return 'put-off';
  }
  while (!(await park(deps, event, DEADLY, attempts))) await pause(attempts);
  return 'parked';
}

/** Whether a process died over an earlier trial. @throws RetryableError `store-away` */
export async function wasOnTrial({ service, store }: PoisonDeps, event: FailedEvent): Promise<boolean> {
  return (await store.poisonCounts.attempts(service, trialId(event))) > 0;
}

/** A trial has ended, and the process lives. Never throws. */
export async function clearTrials({ service, store, logger }: PoisonDeps, event: FailedEvent): Promise<void> {
  try {
    await store.poisonCounts.clear(service, trialId(event));
  } catch (error) {
    logger.warn({ messageId: event.id, ...errorFields(error) }, 'poison.not-cleared');
  }
}

/** By user too: events born in this process have ids of their own only within their user. Each wake has another id. */
const poisonId = ({ userKey, id, isWake }: FailedEvent) => `${userKey}:${isWake ? 'wake' : id}`;

/** The name is of an earlier version: counts go on after an upgrade. */
const trialId = (event: FailedEvent) => `alone:${poisonId(event)}`;

/** @returns false if those who wait for the event couldn't be told: nobody may wait for what nobody will handle */
async function park(
  { service, store, logger }: PoisonDeps,
  { type, id, userKey, delivery, body, tellParked }: FailedEvent,
  error: unknown,
  attempts: number,
): Promise<boolean> {
  const facts = { userKey, messageId: id, type, attempts };
  const content = Buffer.from(JSON.stringify(body));
  const born = { type, messageId: id, correlationId: id, exchange: '', routingKey: userKey, content };
  const why = { reason: describeError(error), code: errorCode(error), attempts };
  const letter = deadLetterOf(delivery ?? born, why);
  await store.deadLetters.keep({ service, ...letter, origin: { ...letter.origin, userKey } });
  try {
    await tellParked();
  } catch (cause) {
    // The broker is away or refuses.
    logger.warn({ ...facts, ...errorFields(cause) }, 'event.parking-failed');
    return false;
  }
  logger.error({ ...facts, ...errorFields(error) }, 'event.parked');
  return true;
}

const pause = (attempts: number) => sleep(backoffMs(attempts - 1, RETRY_FIRST_MS, RETRY_MAX_MS));
