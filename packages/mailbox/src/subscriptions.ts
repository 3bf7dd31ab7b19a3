// Which partitions this replica reads: shared out among those alive, given up while the database is away.
import type { Broker, Delivery } from '@pipeline/broker';
import { type MailboxService, mailboxQueues } from '@pipeline/contracts';
import { backoffMs, errorFields, type Logger, type Metrics, RetryableError, sleep } from '@pipeline/runtime';
import type { Replica, Store } from '@pipeline/store';
import { type Assignment, assignPartitions } from './assign-partitions.ts';
import { joinMembership, type Membership } from './membership.ts';
import { createPlaceInLine, type Role } from './place-in-line.ts';

/** For `/readyz`: who reads what. */
export interface PartitionsHeld {
  owned: number[];
  standingBy: number[];
  /** Names of all replicas alive. */
  replicas: string[];
}

export interface Subscriptions {
  start(): void;
  /** Without the database nothing can be decided: give the partitions up (another replica may reach it), come back with it. */
  storeAway(error: unknown): void;
  /** Pauses, drains and closes each partition, then tells the others. */
  stop(): Promise<void>;
  /** Null while every partition that is this replica's to read is subscribed, else the reason why not. */
  problem(): string | null;
  held(): PartitionsHeld;
}

export function createSubscriptions(options: {
  service: MailboxService;
  replica: string;
  partitions: number;
  prefetch: number;
  broker: Pick<Broker, 'consume' | 'problem'>;
  store: Pick<Store, 'problem' | 'whenUp' | 'replicas' | 'now'>;
  logger: Logger;
  metrics: Metrics;
  onDelivery(partition: number, delivery: Delivery): void;
  /** Waits until what the partition has begun is finished. */
  drain(partition: number): Promise<void>;
  /** Its channel has opened or closed: whatever is remembered of it is void. */
  forget(partition: number): void;
}): Subscriptions {
  const { service, replica, broker, store, logger, metrics } = options;
  const stopping = new AbortController();
  let membership: Membership | null = null;
  let isSuspended = false;
  let alive: string[] = [];
  let assigned: Assignment[] = [];
  const places = mailboxQueues(service, options.partitions).map((queue, partition) =>
    createPlaceInLine({
      queue,
      prefetch: options.prefetch,
      consumerTag: `${replica} ${queue}`,
      broker,
      now: store.now,
      onDelivery: (delivery) => options.onDelivery(partition, delivery),
      drain: () => options.drain(partition),
      forget: () => options.forget(partition),
      // The others wait for it.
      onSubscribed: () => membership?.beatSoon(),
    }),
  );
  const heldAs = (role: Role) =>
    [...places.keys()].filter((partition) => places[partition]?.role() === role && places[partition]?.since() !== null);
  metrics.gaugeOf('mailbox_partitions_owned', 'Partitions that this replica reads', () => heldAs('owner').length);
  metrics.gaugeOf('mailbox_partitions_standby', 'Partitions it would take over', () => heldAs('standby').length);

  const subscribed = (): Replica['subscribed'] | null => {
    const problem = store.problem();
    // Noticed here also while there is nothing to do.
    if (problem !== null) storeAway(new RetryableError('store-away', problem));
    if (isSuspended || broker.problem() !== null) return null;
    return Object.fromEntries(
      places.flatMap((place, partition) => {
        const since = place.since();
        return since === null ? [] : [[partition, since]];
      }),
    );
  };

  const onAlive = (replicas: Replica[]) => {
    if (isSuspended || stopping.signal.aborted) return;
    const names = replicas.map(({ name }) => name).sort();
    if (names.join() !== alive.join()) {
      alive = names;
      assigned = assignPartitions(names, options.partitions);
      const owned = assigned.filter(({ owner }) => owner === replica).length;
      logger.info({ replicas: names, owned }, 'partitions.assigned');
    }
    const subscribedOf = new Map(replicas.map(({ name, subscribed }) => [name, subscribed]));
    for (const [partition, { owner, standby }] of assigned.entries()) {
      const since = subscribedOf.get(owner)?.[partition];
      const ownersPlace = since === undefined ? null : `${owner} ${since}`;
      places[partition]?.follow(owner === replica ? 'owner' : standby === replica ? 'standby' : null, ownersPlace);
    }
  };

  const storeAway = (error: unknown) => {
    if (isSuspended) return;
    isSuspended = true;
    alive = [];
    assigned = [];
    logger.warn(errorFields(error), 'mailbox.suspended');
    void (async () => {
      await Promise.all(places.map((place) => place.abandon()));
      for (let attempt = 0; !stopping.signal.aborted; attempt++) {
        await sleep(backoffMs(attempt, 100, 1_000), stopping.signal);
        await store.whenUp(stopping.signal);
        if (store.problem() === null) break;
      }
      if (stopping.signal.aborted) return;
      isSuspended = false;
      logger.info('mailbox.resumed');
      membership?.beatSoon();
    })();
  };

  return {
    start() {
      membership = joinMembership({ service, name: replica, store, logger, subscribed, onAlive });
    },
    storeAway,
    async stop() {
      stopping.abort();
      await Promise.all(places.map((place) => place.leave()));
      assigned = [];
      await membership?.leave();
    },
    problem() {
      if (isSuspended) return 'the database is away: partitions given up';
      if (assigned.length === 0) return 'no partition is assigned';
      const missing = places.filter((place) => !place.isSettled()).length;
      return missing === 0 ? null : `${missing} of ${places.length} partitions not subscribed`;
    },
    held: () => ({ owned: heldAs('owner'), standingBy: heldAs('standby'), replicas: alive }),
  };
}
