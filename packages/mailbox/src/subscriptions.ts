// Which partitions this replica reads: shared out among those alive, given up while the database is away.
import type { Broker, Delivery } from '@pipeline/broker';
import { type MailboxService, mailboxQueues } from '@pipeline/contracts';
import {
  backoffMs,
  errorFields,
  type Logger,
  type Metrics,
  type Repetition,
  RetryableError,
  repeat,
  sleep,
  waitUntil,
} from '@pipeline/runtime';
import type { Replica, Store } from '@pipeline/store';
import { type Assignment, assignPartitions } from './assign-partitions.ts';
import { joinMembership, type Membership } from './membership.ts';
import { createPartitionConsumer, type Role } from './partition-consumer.ts';

/** A partition is given up without a successor after so long: nobody may be able to come. */
const SUCCESSOR_MS = 2_500;
const STALL_LOOK_MS = 1_000;

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
  /** Tells the others, and pauses, drains and closes each partition once another replica stands by. */
  stop(): Promise<void>;
  /** After `stop`: from now on nobody takes this replica for alive. */
  end(): Promise<void>;
  /** Whether that replica lives, this one and those that are leaving included. */
  isAlive(replica: string): boolean;
  /** Null while every partition that is this replica's to read is subscribed, else the reason why not. */
  problem(): string | null;
  held(): PartitionsHeld;
}

export function createSubscriptions(options: {
  service: MailboxService;
  replica: string;
  partitions: number;
  prefetch: number;
  broker: Pick<Broker, 'consume' | 'publish' | 'problem'>;
  store: Pick<Store, 'problem' | 'whenUp' | 'replicas' | 'now'>;
  logger: Logger;
  metrics: Metrics;
  onDelivery(partition: number, delivery: Delivery): void;
  /** Waits until what the partition has begun is finished. */
  drain(partition: number): Promise<void>;
  /** Its channel has opened or closed: whatever is remembered of it is void. */
  forget(partition: number): void;
  /** For tests: how often to look whether partitions are delivered. */
  stallLookMs?: number | undefined;
}): Subscriptions {
  const { service, replica, broker, store, logger, metrics } = options;
  const stopping = new AbortController();
  let membership: Membership | null = null;
  let isSuspended = false;
  let others: Replica[] = [];
  let alive: string[] = [];
  let looking: Repetition | null = null;
  let assigned: Assignment[] = [];
  const places = mailboxQueues(service, options.partitions).map((queue, partition) =>
    createPartitionConsumer({
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
      onStalled() {
        stalls.inc();
        logger.error({ queue }, 'partition.stalled');
      },
    }),
  );
  const heldAs = (role: Role) =>
    [...places.keys()].filter((partition) => places[partition]?.role() === role && places[partition]?.since() !== null);
  const stalls = metrics.counter(
    'mailbox_partitions_stalled_total',
    'Times a partition had messages and an owner but delivered nothing, and was subscribed anew',
  );
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
    others = replicas.filter(({ name }) => name !== replica);
    if (isSuspended || stopping.signal.aborted) return;
    const names = replicas.flatMap(({ name, isLeaving }) => (isLeaving ? [] : [name])).sort();
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

  const hasSuccessor = (partition: number) =>
    others.some(({ subscribed, isLeaving }) => !isLeaving && subscribed[partition] !== undefined);

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
      looking = repeat({
        everyMs: options.stallLookMs ?? STALL_LOOK_MS,
        isPossible: () => !isSuspended && broker.problem() === null,
        work: async () => places.forEach((place) => void place.look()),
        logger,
        failed: 'stall-look.failed',
      });
    },
    storeAway,
    async stop() {
      stopping.abort();
      await looking?.stop();
      membership?.sayLeaving();
      const mayCome = () => !isSuspended && others.some(({ isLeaving }) => !isLeaving);
      await Promise.all(
        places.map(async (place, partition) => {
          if (place.since() !== null) await waitUntil(() => hasSuccessor(partition) || !mayCome(), SUCCESSOR_MS);
          await place.leave();
        }),
      );
      assigned = [];
    },
    end: async () => membership?.leave(),
    isAlive: (name) => name === replica || others.some((other) => other.name === name),
    problem() {
      if (isSuspended) return 'the database is away: partitions given up';
      if (assigned.length === 0) return 'no partition is assigned';
      const missing = places.filter((place) => !place.isSettled()).length;
      if (missing > 0) return `${missing} of ${places.length} partitions not subscribed`;
      const stalled = [...places.keys()].filter((partition) => places[partition]?.isStalled());
      return stalled.length === 0 ? null : `RabbitMQ delivers nothing from partitions ${stalled.join(', ')}`;
    },
    held: () => ({ owned: heldAs('owner'), standingBy: heldAs('standby'), replicas: alive }),
  };
}
