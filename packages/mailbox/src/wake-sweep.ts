// Wakes actors whose due time has passed and whose owner, for whatever reason, hasn't noticed.
import type { Broker } from '@pipeline/broker';
import { wake } from '@pipeline/contracts';
import { type Logger, type Repetition, repeat } from '@pipeline/runtime';
import type { ActorCollection, Store } from '@pipeline/store';

const SWEEP_INTERVAL_MS = 1_000;
const OVERDUE_MS = 1_000;
/** The same document is woken at most once in this time. */
const WAKE_PAUSE_MS = 5_000;
const WAKES_PER_SWEEP = 500;

/** Sweeps once a second until stopped. Every replica does; the claims keep them from waking twice. */
export function startWakeSweep<S>(deps: {
  /** The exchange in front of the mailboxes. */
  exchange: string;
  collection: ActorCollection<S>;
  broker: Pick<Broker, 'publish' | 'problem'>;
  store: Pick<Store, 'now' | 'problem'>;
  logger: Logger;
}): Repetition {
  const { exchange, collection, broker, store, logger } = deps;

  const sweepOnce = async () => {
    const now = store.now();
    const userKeys = await collection.claimOverdue(now, OVERDUE_MS, WAKE_PAUSE_MS, WAKES_PER_SWEEP);
    await Promise.all(
      userKeys.map((userKey) => {
        const messageId = `wake:${userKey}:${Math.round(now)}`;
        return broker.publish(exchange, userKey, { type: wake.type, messageId, correlationId: messageId, body: {} });
      }),
    );
  };

  return repeat({
    everyMs: SWEEP_INTERVAL_MS,
    isPossible: () => store.problem() === null && broker.problem() === null,
    // Not published or not claimed: still overdue, so the next sweep finds it.
    work: sweepOnce,
    logger,
    failed: 'sweep.failed',
  });
}
