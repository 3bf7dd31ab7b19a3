// The mailbox of a service: deliveries of its partitions go to their users' actors.
import { type Broker, type Delivery, deadLetterOf } from '@pipeline/broker';
import { wake } from '@pipeline/contracts';
import {
  describeError,
  errorCode,
  errorFields,
  type Logger,
  type Metrics,
  type Repetition,
  waitUntil,
} from '@pipeline/runtime';
import type { ActorCollection, Store } from '@pipeline/store';
import { Actor } from './actor/actor.ts';
import { ActorsInMemory } from './actor/actors-in-memory.ts';
import { THROWING_WAKE_PAUSE_MS } from './actor/due-times.ts';
import type { Input, Outcome, Verdict } from './actor/input.ts';
import { OpenCalls } from './actor/open-calls.ts';
import type { ActorTypes, Behaviour, Edges } from './behaviour.ts';
import { GroupCommit } from './commit/group-commit.ts';
import type { FaultPoint } from './fault-point.ts';
import { type PartitionsHeld, Subscriptions } from './partitions/subscriptions.ts';
import {
  clearTrials,
  type FailedEvent,
  judgeSuspect,
  type PoisonDeps,
  retryOrPark,
  wasOnTrial,
} from './poison/poison.ts';
import { Quarantine } from './poison/quarantine.ts';
import { startWakeSweep } from './wake-sweep.ts';

/** Of the 8 s that a service has for its stop, for giving up partitions and waiting for the outcomes of open calls. */
const STOP_MS = 7_000;
const DRAIN_MS = 3_000;

export interface MailboxOptions<T extends ActorTypes> {
  service: string;
  /** Names this process in the management UI. */
  replica: string;
  /** The exchange in front of the mailboxes, and their queues by partition. */
  exchange: string;
  queues: readonly string[];
  prefetch: number;
  /** An open call is left to the replica that makes it, while that lives, for so long: as a rule no call takes longer. */
  leaveToCallerMs: number;
  broker: Broker;
  store: Store;
  /** Where the actors' documents are. */
  collection: ActorCollection<T['state']>;
  behaviour: Behaviour<T>;
  edges: Edges<T>;
  logger: Logger;
  metrics: Metrics;
  maxActors?: number;
  /** For tests: how often to look whether partitions are delivered; 1 s unless told. */
  stallLookMs?: number;
  /** Called between the steps of handling an event, for tests. */
  faultPoint?: FaultPoint | undefined;
}

export class Mailbox<T extends ActorTypes> {
  readonly #options: MailboxOptions<T>;
  readonly #poison: PoisonDeps;
  readonly #groupCommit: GroupCommit<T['state']>;
  readonly #actors: ActorsInMemory<T>;
  readonly #calls: OpenCalls<T>;
  readonly #quarantine: Quarantine;
  readonly #subscriptions: Subscriptions;
  readonly #metrics: ReturnType<typeof declareMetrics>;
  #sweep: Repetition | null = null;

  constructor(options: MailboxOptions<T>) {
    const { service, store, collection, logger, metrics, faultPoint } = options;
    this.#options = options;
    this.#poison = { service, store, logger };
    this.#groupCommit = new GroupCommit(collection, store.applySideWrites, faultPoint);
    this.#actors = new ActorsInMemory({
      create: (userKey) => this.#createActor(userKey, faultPoint),
      now: store.now,
      maxActors: options.maxActors,
    });
    this.#quarantine = new Quarantine({
      haveProcessesDied: () => this.#subscriptions.haveProcessesDied(),
      handle: (...delivered) => this.#handle(...delivered),
      wasOnTrial: (delivery) => this.#wasOnTrial(delivery),
      judge: (delivery) => this.#judge(delivery),
    });
    this.#subscriptions = new Subscriptions({
      ...options,
      onDelivery: (partition, delivery) => this.#quarantine.admit(partition, delivery),
      drain: (partition) => this.#drain(partition),
      forget: (partition) => this.#forget(partition),
    });
    this.#calls = new OpenCalls({
      ...options,
      now: store.now,
      isAlive: (name) => this.#subscriptions.isAlive(name),
      actorOf: (userKey) => this.#actors.get(userKey),
    });
    this.#metrics = declareMetrics(metrics);
    metrics.gaugeOf('mailbox_open_calls', 'Calls under way', () => this.#calls.size());
    metrics.gaugeOf('mailbox_actors', 'Actors in memory', () => this.#actors.size());
    metrics.gaugeOf('mailbox_quarantined', 'Deliveries in quarantine', () => this.#quarantine.size());
  }

  start(): void {
    this.#subscriptions.start();
    this.#sweep = startWakeSweep(this.#options);
  }

  /**
   * Gives up each partition (pause, drain, close) as soon as another replica stands by; then waits for the outcomes of
   * open calls and hands them over. Within 7 s: what takes longer is called again by the next owner.
   */
  async stop(): Promise<void> {
    const endsAt = performance.now() + STOP_MS;
    await Promise.all([this.#sweep?.stop(), this.#subscriptions.stop()]);
    // Outcomes that come now go through the broker. Until `end` the others leave the calls to us.
    await this.#calls.allOver(endsAt - performance.now());
    await this.#subscriptions.end();
  }

  /** Null while every partition of this replica's is subscribed, else the reason why not. */
  problem(): string | null {
    return this.#subscriptions.problem();
  }

  /** Which partitions are this replica's. */
  held(): PartitionsHeld {
    return this.#subscriptions.held();
  }

  #createActor(userKey: string, faultPoint: FaultPoint | undefined): Actor<T> {
    const { store, logger } = this.#options;
    return new Actor(userKey, {
      ...this.#options,
      isProcessed: store.processedIds.isKnown,
      groupCommit: this.#groupCommit,
      now: store.now,
      calls: this.#calls,
      failed: (...failure) => this.#judgeFailure(...failure),
      storeAway: (error) => this.#subscriptions.storeAway(error),
      faultPoint,
      onEffectRefused: (userKey, effect, error) => {
        this.#metrics.refusals.inc();
        logger.warn({ userKey, effectId: effect.id, ...errorFields(error) }, 'effect.refused');
      },
    });
  }

  #handle(partition: number, delivery: Delivery, isOnTrial: boolean): void {
    const startedAt = performance.now();
    let event: T['event'];
    try {
      event = this.#options.edges.decode(delivery);
    } catch (error) {
      void this.#parkUnreadable(delivery, error);
      return;
    }
    const ack = (outcome: Outcome) => {
      delivery.ack();
      this.#tellHandled(event, delivery, outcome, performance.now() - startedAt);
      this.#quarantine.settled(delivery);
    };
    this.#actors.getOrCreate(delivery.routingKey, partition).push({ event, delivery, ack, isOnTrial });
  }

  #tellHandled({ type, id: messageId }: T['event'], delivery: Delivery, outcome: Outcome, ms: number): void {
    const { routingKey: userKey, correlationId, deliveryCount } = delivery;
    this.#metrics.handled.inc({ type, outcome });
    this.#metrics.durations.observe({ type }, ms / 1000);
    const durationMs = Math.round(ms * 100) / 100;
    const facts = { userKey, type, messageId, correlationId, deliveryCount, outcome, durationMs };
    this.#options.logger.info(facts, 'event.handled');
  }

  async #parkUnreadable(delivery: Delivery, error: unknown): Promise<void> {
    const { service, store, logger } = this.#options;
    const letter = deadLetterOf(delivery, { reason: describeError(error), code: errorCode(error), attempts: 1 });
    try {
      await store.deadLetters.keep({ service, ...letter });
      this.#metrics.handled.inc({ type: 'unreadable', outcome: 'parked' });
      logger.error({ ...letter.origin, ...errorFields(error) }, 'event.parked');
      delivery.ack();
      this.#quarantine.settled(delivery);
    } catch (cause) {
      this.#subscriptions.storeAway(cause);
    }
  }

  #failedEvent(userKey: string, event: T['event'], delivery: Delivery | null): FailedEvent {
    const { type, id, ...body } = event;
    const tellParked = () => this.#options.edges.parked(userKey, event);
    return { type, id, userKey, delivery, body, isWake: type === wake.type, tellParked };
  }

  async #judgeFailure(userKey: string, { event, delivery }: Input<T>, error: unknown): Promise<Verdict> {
    const verdict = await retryOrPark(this.#poison, this.#failedEvent(userKey, event, delivery), error);
    // Those of deliveries are counted when they are acked.
    if (verdict !== 'retry' && !delivery) this.#metrics.handled.inc({ type: event.type, outcome: verdict });
    return verdict;
  }

  async #wasOnTrial(delivery: Delivery): Promise<boolean> {
    const suspect = this.#suspect(delivery);
    try {
      return suspect !== null && (await wasOnTrial(this.#poison, suspect));
    } catch (cause) {
      this.#subscriptions.storeAway(cause);
      return false;
    }
  }

  /** Null if it can't be read: it is parked in the ordinary way. */
  #suspect(delivery: Delivery): FailedEvent | null {
    try {
      return this.#failedEvent(delivery.routingKey, this.#options.edges.decode(delivery), delivery);
    } catch {
      return null;
    }
  }

  /** What `Quarantine` needs to know before it runs a suspect. */
  async #judge(delivery: Delivery): Promise<(() => Promise<void>) | null> {
    const { collection, store } = this.#options;
    const suspect = this.#suspect(delivery);
    if (!suspect) return async () => {};
    try {
      const verdict = await judgeSuspect(this.#poison, suspect);
      if (verdict === 'retry') return () => clearTrials(this.#poison, suspect);
      // Still counted: there may be more wakes of this user on their way.
      if (verdict === 'put-off') {
        await collection.putOff(suspect.userKey, store.now() + THROWING_WAKE_PAUSE_MS);
        this.#actors.get(suspect.userKey)?.putOffWakes();
      } else await clearTrials(this.#poison, suspect);
      this.#metrics.handled.inc({ type: suspect.type, outcome: verdict });
      delivery.ack();
    } catch (cause) {
      this.#subscriptions.storeAway(cause);
    }
    return null;
  }

  /** Waits, within bounds, until a paused partition's actors have finished their events and effects. */
  #drain(partition: number): Promise<void> {
    return waitUntil(() => {
      this.#groupCommit.flush();
      return this.#actors.areIdle(partition);
    }, DRAIN_MS);
  }

  #forget(partition: number): void {
    this.#actors.dropPartition(partition);
    this.#quarantine.drop(partition);
  }
}

const declareMetrics = (metrics: Metrics) => ({
  handled: metrics.counter('mailbox_events_total', 'Events handled', ['type', 'outcome'] as const),
  durations: metrics.seconds('mailbox_event_seconds', 'From delivery to ack, deferral included', ['type'] as const),
  refusals: metrics.counter('mailbox_refused_publishes_total', 'Effects the broker refused, tried again later'),
});
