// Which partitions this replica reads: shared out among those alive, given up while the database is away.
//
//   reading     the partitions that are this replica's are subscribed
//   suspended   the database is away: all are given up (another replica may reach it), until it is back
//   stopping    each is given up as soon as another replica stands by
import type { Broker, Delivery } from '@pipeline/broker';
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
import { type Members, Membership } from './membership.ts';
import { PartitionConsumer, type Role } from './partition-consumer.ts';

/** A partition is given up without a successor after so long: nobody may be able to come. */
const SUCCESSOR_MS = 2_500;
const STALL_LOOK_MS = 1_000;
const RESUME_FIRST_MS = 100;
const RESUME_MAX_MS = 1_000;

/** For `/readyz`: who reads what. */
export interface PartitionsHeld {
  owned: number[];
  standingBy: number[];
  /** Names of all replicas alive. */
  replicas: string[];
}

export interface SubscriptionsDeps {
  service: string;
  replica: string;
  /** By partition. */
  queues: readonly string[];
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
}

export class Subscriptions {
  readonly #deps: SubscriptionsDeps;
  readonly #consumers: PartitionConsumer[];
  readonly #stopping = new AbortController();
  readonly #stalls: ReturnType<Metrics['counter']>;
  #membership: Membership | null = null;
  #looking: Repetition | null = null;
  #isSuspended = false;
  #others: Replica[] = [];
  #haveDied = false;
  /** Names of those who take partitions. */
  #alive: string[] = [];
  #assigned: Assignment[] = [];

  constructor(deps: SubscriptionsDeps) {
    this.#deps = deps;
    const { metrics } = deps;
    this.#stalls = metrics.counter(
      'mailbox_partitions_stalled_total',
      'Times a partition had messages and an owner but delivered nothing, and was subscribed anew',
    );
    const count = (role: Role) => () => this.#heldAs(role).length;
    metrics.gaugeOf('mailbox_partitions_owned', 'Partitions that this replica reads', count('owner'));
    metrics.gaugeOf('mailbox_partitions_standby', 'Partitions it would take over', count('standby'));
    this.#consumers = deps.queues.map((queue, partition) => this.#consumerOf(queue, partition));
  }

  start(): void {
    const { service, replica: name, store, broker, logger, stallLookMs = STALL_LOOK_MS } = this.#deps;
    this.#membership = new Membership({
      service,
      name,
      store,
      logger,
      subscribed: () => this.#subscribed(),
      onSeen: (members) => this.#follow(members),
    });
    this.#looking = repeat({
      everyMs: stallLookMs,
      isPossible: () => !this.#isSuspended && broker.problem() === null,
      work: async () => this.#consumers.forEach((consumer) => void consumer.look()),
      logger,
      failed: 'stall-look.failed',
    });
  }

  /** Without the database nothing can be decided: give the partitions up, come back with it. */
  storeAway(error: unknown): void {
    if (this.#isSuspended) return;
    this.#isSuspended = true;
    this.#alive = [];
    this.#assigned = [];
    this.#deps.logger.warn(errorFields(error), 'mailbox.suspended');
    void this.#resumeWithStore();
  }

  /** Tells the others, and pauses, drains and closes each partition once another replica stands by. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#looking?.stop();
    this.#membership?.sayLeaving();
    await Promise.all(this.#consumers.map((consumer, partition) => this.#giveUp(consumer, partition)));
    this.#assigned = [];
  }

  /** After `stop`: from now on nobody takes this replica for alive. */
  async end(): Promise<void> {
    await this.#membership?.leave();
  }

  /** Whether that replica lives, this one and those that are leaving included. */
  isAlive(name: string): boolean {
    return name === this.#deps.replica || this.#others.some((other) => other.name === name);
  }

  /** Processes of this service have ended without a goodbye, within the last minutes. */
  haveProcessesDied(): boolean {
    return this.#haveDied;
  }

  /** Null while every partition that is this replica's to read is subscribed, else the reason why not. */
  problem(): string | null {
    if (this.#isSuspended) return 'the database is away: partitions given up';
    if (this.#assigned.length === 0) return 'no partition is assigned';
    const missing = this.#consumers.filter((consumer) => !consumer.isSettled()).length;
    if (missing > 0) return `${missing} of ${this.#consumers.length} partitions not subscribed`;
    const stalled = this.#consumers.flatMap((consumer, partition) => (consumer.isStalled() ? [partition] : []));
    return stalled.length === 0 ? null : `RabbitMQ delivers nothing from partitions ${stalled.join(', ')}`;
  }

  held(): PartitionsHeld {
    return { owned: this.#heldAs('owner'), standingBy: this.#heldAs('standby'), replicas: this.#alive };
  }

  #consumerOf(queue: string, partition: number): PartitionConsumer {
    const { replica, prefetch, broker, store, logger } = this.#deps;
    return new PartitionConsumer({
      queue,
      prefetch,
      consumerTag: `${replica} ${queue}`,
      broker,
      now: store.now,
      onDelivery: (delivery) => this.#deps.onDelivery(partition, delivery),
      drain: () => this.#deps.drain(partition),
      forget: () => this.#deps.forget(partition),
      // The others wait for it.
      onSubscribed: () => this.#membership?.beatSoon(),
      onStalled: () => {
        this.#stalls.inc();
        logger.error({ queue }, 'partition.stalled');
      },
    });
  }

  #heldAs(role: Role): number[] {
    return this.#consumers.flatMap((consumer, partition) =>
      consumer.role() === role && consumer.since() !== null ? [partition] : [],
    );
  }

  #subscribed(): Replica['subscribed'] | null {
    const problem = this.#deps.store.problem();
    // Noticed here also while there is nothing to do.
    if (problem !== null) this.storeAway(new RetryableError('store-away', problem));
    if (this.#isSuspended || this.#deps.broker.problem() !== null) return null;
    const since = this.#consumers.map((consumer, partition) => [partition, consumer.since()] as const);
    return Object.fromEntries(since.filter((one): one is [number, number] => one[1] !== null));
  }

  #follow({ alive, haveDied }: Members): void {
    const { replica, queues, logger } = this.#deps;
    this.#others = alive.filter(({ name }) => name !== replica);
    this.#haveDied = haveDied;
    if (this.#isSuspended || this.#stopping.signal.aborted) return;
    const names = alive.flatMap(({ name, isLeaving }) => (isLeaving ? [] : [name])).sort();
    if (names.join() !== this.#alive.join()) {
      this.#alive = names;
      this.#assigned = assignPartitions(names, queues.length);
      const owned = this.#assigned.filter(({ owner }) => owner === replica).length;
      logger.info({ replicas: names, owned }, 'partitions.assigned');
    }
    const subscribedOf = new Map(alive.map(({ name, subscribed }) => [name, subscribed]));
    for (const [partition, { owner, standby }] of this.#assigned.entries()) {
      const since = subscribedOf.get(owner)?.[partition];
      const ownersSubscription = since === undefined ? null : `${owner} ${since}`;
      const role = owner === replica ? 'owner' : standby === replica ? 'standby' : null;
      this.#consumers[partition]?.follow(role, ownersSubscription);
    }
  }

  async #giveUp(consumer: PartitionConsumer, partition: number): Promise<void> {
    const stays = () => this.#others.filter(({ isLeaving }) => !isLeaving);
    const isTaken = () => stays().some(({ subscribed }) => subscribed[partition] !== undefined);
    const isAlone = () => this.#isSuspended || stays().length === 0;
    if (consumer.since() !== null) await waitUntil(() => isTaken() || isAlone(), SUCCESSOR_MS);
    await consumer.leave();
  }

  async #resumeWithStore(): Promise<void> {
    const { store, logger } = this.#deps;
    const { signal } = this.#stopping;
    await Promise.all(this.#consumers.map((consumer) => consumer.abandon()));
    for (let attempt = 0; !signal.aborted; attempt++) {
      await sleep(backoffMs(attempt, RESUME_FIRST_MS, RESUME_MAX_MS), signal);
      await store.whenUp(signal);
      if (store.problem() === null) break;
    }
    if (signal.aborted) return;
    this.#isSuspended = false;
    logger.info('mailbox.resumed');
    this.#membership?.beatSoon();
  }
}
