// The mailbox of a service: deliveries of its partitions go to their users' actors.
import { type Broker, type Delivery, deadLetterOf } from '@pipeline/broker';
import type { MailboxService } from '@pipeline/contracts';
import {
  backoffMs,
  describeError,
  errorCode,
  errorFields,
  type Logger,
  type Metrics,
  type Repetition,
  sleep,
  waitUntil,
} from '@pipeline/runtime';
import type { Store, StoredEffect } from '@pipeline/store';
import { createActor } from './actor.ts';
import { type FaultPoint, type Input, THROWING_WAKE_PAUSE_MS, type Verdict } from './actor-types.ts';
import { createActorsInMemory } from './actors-in-memory.ts';
import type { ActorEvent, Behaviour, Edges, OpenCall } from './behaviour.ts';
import { faultPointOf } from './fault-point.ts';
import { createGroupCommit } from './group-commit.ts';
import { createLoneRuns } from './lone-runs.ts';
import { clearLoneRuns, type FailedEvent, judgeSuspect, retryOrPark } from './poison.ts';
import { createSubscriptions, type PartitionsHeld } from './subscriptions.ts';
import { startWakeSweep } from './wake-sweep.ts';

/** Of the 8 s that a service has for its stop, for giving up partitions and waiting for the outcomes of open calls. */
const STOP_MS = 7_000;
/** For an outcome's way through the broker. */
const FORWARDING_MS = 2_000;
const FORWARD_FOR_MS = 15_000;
const FORWARD_RETRY_FIRST_MS = 100;
const FORWARD_RETRY_MAX_MS = 1_000;

export interface Mailbox<Ev> {
  start(): void;
  /**
   * Gives up each partition (pause, drain, close) as soon as another replica stands by; then waits for the outcomes of
   * open calls and hands them over. Within 7 s: what takes longer is called again by the next owner.
   */
  stop(): Promise<void>;
  /**
   * Hands an event that happened in this process to its user's actor, if that is in memory here: spares it the way
   * through the broker. Only for events that somebody says again if the process dies.
   * @param dropped the actor was dropped before it had saved the event
   * @returns false if there is no such actor: the event must be published
   */
  offer(userKey: string, event: Ev, dropped: () => void): boolean;
  /** Null while every partition of this replica's is subscribed, else the reason why not. */
  problem(): string | null;
  /** Which partitions are this replica's. */
  held(): PartitionsHeld;
}

export function createMailbox<
  S,
  Ev extends ActorEvent,
  Fx extends StoredEffect,
  Call extends OpenCall,
  Lookup,
>(options: {
  service: MailboxService;
  /** Names this process in the management UI. */
  replica: string;
  partitions: number;
  prefetch: number;
  /** An open call is left to the replica that makes it, while that lives, for so long: as a rule no call takes longer. */
  leaveToCallerMs: number;
  broker: Broker;
  store: Store;
  behaviour: Behaviour<S, Ev, Fx, Call, Lookup>;
  edges: Edges<Ev, Fx, Call, Lookup>;
  logger: Logger;
  metrics: Metrics;
  maxActors?: number;
  /** For tests: how often to look whether partitions are delivered; 1 s unless told. */
  stallLookMs?: number;
  /** Called between the steps of handling an event, for tests. */
  faultPoint?: FaultPoint;
}): Mailbox<Ev> {
  const { service, broker, store, behaviour, edges, logger, metrics } = options;
  const { faultPoint = faultPointOf(process.env) } = options;
  const collection = store.actors<S>(service === 'router' ? 'conversations' : 'ledgers');
  const groupCommit = createGroupCommit(collection, store.applySideWrites, faultPoint);
  /** What an input's `settle` acks, and what has become of it. */
  const deliveries = new WeakMap<Input<Ev>['settle'], { delivery: Delivery; outcome: string }>();
  const poison = { service, store, logger };
  const openCalls = new Set<string>();
  const forwarding = new Set<Promise<void>>();
  let sweep: Repetition | null = null;
  let isStopping = false;

  const handled = metrics.counter('mailbox_events_total', 'Events handled', ['type', 'outcome'] as const);
  const durations = metrics.seconds('mailbox_event_seconds', 'From delivery to ack, what it rests included', [
    'type',
  ] as const);
  const refusals = metrics.counter('mailbox_refused_publishes_total', 'Effects the broker refused, tried again later');
  metrics.gaugeOf('mailbox_open_calls', 'Calls under way', () => openCalls.size);
  metrics.gaugeOf('mailbox_actors', 'Actors in memory', () => actors.size());

  const createUserActor = (userKey: string) =>
    createActor<S, Ev, Fx, Call, Lookup>(userKey, {
      service,
      behaviour,
      edges,
      collection,
      isProcessed: store.processedIds.isKnown,
      groupCommit,
      now: store.now,
      logger,
      replica: options.replica,
      openCalls,
      isAlive: (name) => subscriptions.isAlive(name),
      leaveToCallerMs: options.leaveToCallerMs + FORWARDING_MS,
      isHurried: () => loneRuns.isWaiting(),
      failed,
      storeAway: (error) => subscriptions.storeAway(error),
      outcome,
      faultPoint,
      onEffectRefused(effect, error) {
        refusals.inc();
        logger.warn({ userKey, effectId: effect.id, ...errorFields(error) }, 'effect.refused');
      },
    });

  const handle = (partition: number, delivery: Delivery, isAlone: boolean) => {
    const startedAt = performance.now();
    let event: Ev;
    try {
      event = edges.decode(delivery);
    } catch (error) {
      void parkUnreadable(delivery, error);
      return;
    }
    const known = { delivery, outcome: 'done' };
    const settle = () => {
      const { outcome } = known;
      delivery.ack();
      const seconds = (performance.now() - startedAt) / 1000;
      handled.inc({ type: event.type, outcome });
      durations.observe({ type: event.type }, seconds);
      logger.info(
        {
          userKey: delivery.routingKey,
          type: event.type,
          messageId: event.id,
          correlationId: delivery.correlationId,
          deliveryCount: delivery.deliveryCount,
          outcome,
          durationMs: Math.round(seconds * 100_000) / 100,
        },
        'event.handled',
      );
      loneRuns.settled(delivery);
    };
    deliveries.set(settle, known);
    actors.getOrCreate(delivery.routingKey, partition).push({ event, settle, isAlone });
  };

  const parkUnreadable = async (delivery: Delivery, error: unknown) => {
    const letter = deadLetterOf(delivery, { reason: describeError(error), code: errorCode(error), attempts: 1 });
    try {
      await store.deadLetters.keep({ service, ...letter });
      handled.inc({ type: 'unreadable', outcome: 'parked' });
      logger.error({ ...letter.origin, ...errorFields(error) }, 'event.parked');
      delivery.ack();
      loneRuns.settled(delivery);
    } catch (cause) {
      subscriptions.storeAway(cause);
    }
  };

  const asFailed = (userKey: string, event: Ev, delivery: Delivery | null): FailedEvent => {
    const { type, id, ...body } = event;
    return { type, id, userKey, delivery, body, isWake: type === behaviour.wake().type };
  };

  const failed = async (userKey: string, { event, settle }: Input<Ev>, error: unknown): Promise<Verdict> => {
    const known = deliveries.get(settle);
    const failedEvent = asFailed(userKey, event, known?.delivery ?? null);
    const verdict = await retryOrPark(poison, failedEvent, error, () => edges.parked(userKey, event));
    if (verdict === 'retry') return verdict;
    if (known) known.outcome = verdict;
    else handled.inc({ type: event.type, outcome: verdict });
    return verdict;
  };

  const judge = async (delivery: Delivery): Promise<(() => void) | null> => {
    const { routingKey: userKey } = delivery;
    let event: Ev;
    try {
      event = edges.decode(delivery);
    } catch {
      return () => {}; // parked in the ordinary way
    }
    const suspect = asFailed(userKey, event, delivery);
    try {
      const verdict = await judgeSuspect(poison, suspect, () => edges.parked(userKey, event));
      if (verdict === 'retry') return () => clearLoneRuns(poison, suspect);
      // Still counted: there may be more wakes of this user on their way.
      if (verdict === 'put-off') await collection.putOff(userKey, store.now() + THROWING_WAKE_PAUSE_MS);
      else clearLoneRuns(poison, suspect);
      handled.inc({ type: event.type, outcome: verdict });
      delivery.ack();
    } catch (cause) {
      subscriptions.storeAway(cause);
    }
    return null;
  };

  /** Others leave the call to this process, so its outcome must get through. If it doesn't, the call is made again. */
  const forwardOutcome = async (userKey: string, event: Ev) => {
    const giveUpAt = performance.now() + FORWARD_FOR_MS;
    for (let attempt = 0; performance.now() < giveUpAt; attempt++) {
      try {
        return await edges.forwardOutcome(userKey, event);
      } catch (error) {
        logger.warn({ userKey, ...errorFields(error) }, 'outcome.not-forwarded');
        await sleep(backoffMs(attempt, FORWARD_RETRY_FIRST_MS, FORWARD_RETRY_MAX_MS));
      }
    }
  };

  const outcome = (userKey: string, callKey: string, event: Ev) => {
    const saved = () => openCalls.delete(callKey);
    const forward = () => {
      const forwarded = forwardOutcome(userKey, event).finally(() => {
        openCalls.delete(callKey);
        forwarding.delete(forwarded);
      });
      forwarding.add(forwarded);
    };
    const known = actors.get(userKey);
    if (known) known.push({ event, saved, settle: () => {}, dropped: forward });
    else forward();
  };

  const actors = createActorsInMemory({ create: createUserActor, now: store.now, maxActors: options.maxActors });
  const loneRuns = createLoneRuns({ handle, waiting: actors.hurry, judge });
  const subscriptions = createSubscriptions({
    ...options,
    onDelivery: loneRuns.admit,
    drain: actors.drainPartition,
    forget(partition) {
      actors.dropPartition(partition);
      loneRuns.drop(partition);
    },
  });

  return {
    start() {
      subscriptions.start();
      sweep = startWakeSweep({ service, collection, broker, store, logger });
    },
    async stop() {
      isStopping = true;
      const endsAt = performance.now() + STOP_MS;
      await Promise.all([sweep?.stop(), subscriptions.stop()]);
      // Outcomes that come now go through the broker. Until `end` the others leave the calls to us.
      await waitUntil(() => openCalls.size === 0 && forwarding.size === 0, endsAt - performance.now());
      await subscriptions.end();
    },
    offer(userKey, event, dropped) {
      const known = isStopping ? undefined : actors.get(userKey);
      known?.push({ event, settle: () => {}, dropped });
      return known !== undefined;
    },
    problem: subscriptions.problem,
    held: subscriptions.held,
  };
}
