// binder.matches, one delivery at a time: decode, handle, ack; what can't be handled is told from what can't be now.
import { type Broker, type Consumer, type Delivery, deadLetterOf, decodeBody } from '@pipeline/broker';
import { BINDER_QUEUE, type BindingMatched, bindingMatched, userKeyOf } from '@pipeline/contracts';
import {
  backoffMs,
  describeError,
  errorCode,
  errorFields,
  InvalidMessageError,
  type Logger,
  type Metrics,
  PermanentError,
  RetryableError,
  sleep,
  waitAtMost,
} from '@pipeline/runtime';
import type { Store } from '@pipeline/store';
import type { MatchHandler } from './handle-binding-matched.ts';

const MAX_FAILURES = 5;
/** The broker also counts clean closes, so this alone proves nothing. */
const SUSPECT_DELIVERIES = 3;
const RETRY_FIRST_MS = 100;
const RETRY_MAX_MS = 1_000;
const DRAIN_MS = 3_000;

export interface MatchConsumer {
  start(): void;
  /** Finishes the delivery under way (for at most 3 s), then closes the channel. */
  stop(): Promise<void>;
  /** Null while subscribed, else the reason why not. */
  problem(): string | null;
}

export function createMatchConsumer(deps: {
  broker: Pick<Broker, 'consume'>;
  store: Pick<Store, 'deadLetters' | 'poisonCounts' | 'whenUp'>;
  matches: MatchHandler;
  logger: Logger;
  metrics: Metrics;
}): MatchConsumer {
  const { broker, store, matches, logger } = deps;
  const handled = deps.metrics.counter('binder_matches_total', 'Matched codes handled', ['outcome']);
  const failures = deps.metrics.counter('binder_failures_total', 'Attempts that failed', ['code']);
  const stopping = new AbortController();
  let consumer: Consumer | undefined;
  /** Counts openings and closings: a delivery belongs to the channel it came on. */
  let channelNumber = 0;
  let underWay = Promise.resolve();
  let timesAway = 0;

  /** Keeps at it until the delivery is acked, or void because its channel is gone. Never rejects. */
  const work = async (delivery: Delivery, channel: number) => {
    const startedAt = performance.now();
    for (let attempt = 0; channel === channelNumber; attempt++) {
      try {
        const { outcome, userKey } = await handleOnce(delivery);
        timesAway = 0;
        delivery.ack();
        handled.inc({ outcome });
        const durationMs = Math.round(performance.now() - startedAt);
        const { messageId, correlationId } = delivery;
        logger.info({ userKey, messageId, correlationId, attempt, outcome, durationMs }, 'match.handled');
        return;
      } catch (error) {
        failures.inc({ code: errorCode(error) });
        const isFirst = attempt === 0;
        logger[isFirst ? 'warn' : 'debug'](
          { ...errorFields(error), messageId: delivery.messageId, attempt },
          'match.failed',
        );
        if (stopping.signal.aborted) return;
        if (errorCode(error) === 'store-away') return suspend();
        await sleep(backoffMs(attempt, RETRY_FIRST_MS, RETRY_MAX_MS), stopping.signal);
      }
    }
  };

  const handleOnce = async (delivery: Delivery): Promise<{ outcome: string; userKey: string | null }> => {
    let match: BindingMatched;
    try {
      match = decode(delivery);
    } catch (error) {
      await keepDeadLetter(delivery, error, 1, null);
      return { outcome: 'unreadable', userKey: null };
    }
    const userKey = userKeyOf(match);
    const giveUp = async (error: unknown, attempts: number) => {
      logger.error({ ...errorFields(error), messageId: delivery.messageId, attempts }, 'match.given-up');
      await keepDeadLetter(delivery, error, attempts, userKey);
      return { outcome: await matches.giveUp(match), userKey };
    };
    // A crash throws nothing: what may have killed processes is counted before it is run.
    const lone = delivery.deliveryCount >= SUSPECT_DELIVERIES ? `alone:${delivery.messageId}` : null;
    const runs = lone === null ? 0 : await store.poisonCounts.raise('binder', lone);
    if (runs >= MAX_FAILURES)
      return giveUp(new PermanentError('event-deadly', 'the process died whenever it handled this event'), runs);
    try {
      return { outcome: await matches.handle(match), userKey };
    } catch (error) {
      if (error instanceof RetryableError || errorCode(error) === 'publish-unroutable') throw error;
      const failed = await store.poisonCounts.raise('binder', delivery.messageId);
      if (failed < MAX_FAILURES) throw error;
      return await giveUp(error, failed);
    } finally {
      if (lone !== null) await store.poisonCounts.clear('binder', lone);
    }
  };

  const keepDeadLetter = (delivery: Delivery, error: unknown, attempts: number, userKey: string | null) => {
    const letter = deadLetterOf(delivery, { reason: describeError(error), code: errorCode(error), attempts });
    return store.deadLetters.keep({ service: 'binder', ...letter, origin: { ...letter.origin, userKey } });
  };

  /** MongoDB is away: a stand-by may still reach it, so the queue is left until it answers here again. */
  const suspend = async () => {
    await consumer?.close();
    await sleep(backoffMs(timesAway++, RETRY_FIRST_MS, RETRY_MAX_MS), stopping.signal);
    await store.whenUp(stopping.signal);
    if (!stopping.signal.aborted) consumer?.resume();
  };

  return {
    start() {
      consumer = broker.consume({
        queue: BINDER_QUEUE,
        prefetch: 1,
        consumerTag: `binder-${crypto.randomUUID()}`,
        onOpen: () => channelNumber++,
        onClose: () => channelNumber++,
        onDelivery(delivery) {
          const channel = channelNumber;
          // Chained: what an earlier channel began may still wait for an answer from MongoDB.
          underWay = underWay.then(() => work(delivery, channel));
        },
      });
    },
    async stop() {
      stopping.abort();
      consumer?.pause();
      await waitAtMost(DRAIN_MS, underWay);
      await consumer?.close();
    },
    problem: () => (consumer?.isOpen() ? null : `not subscribed to ${BINDER_QUEUE}`),
  };
}

function decode(delivery: Delivery): BindingMatched {
  if (delivery.type !== bindingMatched.type)
    throw new InvalidMessageError(
      'message-unknown',
      `a message of type ${JSON.stringify(delivery.type)} on ${BINDER_QUEUE}`,
    );
  return decodeBody(bindingMatched, delivery.content);
}
