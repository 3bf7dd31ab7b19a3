// The mailbox of a service: deliveries of its partitions go to their users' actors.
import { createHash } from 'node:crypto';
import type { Broker, Delivery } from '@pipeline/broker';
import type { MailboxService } from '@pipeline/contracts';
import { describeError, errorCode, errorFields, type Logger, type Metrics, type Repetition } from '@pipeline/runtime';
import type { Store, StoredEffect } from '@pipeline/store';
import { createActor } from './actor.ts';
import type { FaultPoint, Input, Verdict } from './actor-types.ts';
import { createActorsInMemory, waitUntil } from './actors-in-memory.ts';
import type { ActorEvent, Behaviour, Edges, OpenCall } from './behaviour.ts';
import { createGroupCommit } from './group-commit.ts';
import { type FailedEvent, retryOrPark } from './poison.ts';
import { createSubscriptions, type PartitionsHeld } from './subscriptions.ts';
import { startWakeSweep } from './wake-sweep.ts';

/** For the outcomes of calls that end after their partition has gone. */
const CALL_GRACE_MS = 1_500;

export interface Mailbox<Ev> {
  start(): void;
  /** Pause, drain, close the channels; then gives open calls a moment and hands their outcomes over. */
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
  broker: Broker;
  store: Store;
  behaviour: Behaviour<S, Ev, Fx, Call, Lookup>;
  edges: Edges<Ev, Fx, Call, Lookup>;
  logger: Logger;
  metrics: Metrics;
  maxActors?: number;
  /** Called between the steps of handling an event, for tests. */
  faultPoint?: FaultPoint;
}): Mailbox<Ev> {
  const { service, broker, store, behaviour, edges, logger, metrics, faultPoint } = options;
  const collection = store.actors<S>(service === 'router' ? 'conversations' : 'ledgers');
  const groupCommit = createGroupCommit(collection, store.applySideWrites, () => faultPoint?.('sides-saved'));
  const deliveries = new WeakMap<Input<Ev>['settle'], Delivery>();
  const openCalls = new Set<string>();
  const forwarding = new Set<Promise<void>>();
  let sweep: Repetition | null = null;
  let isStopping = false;

  const handled = metrics.counter('mailbox_events_total', 'Events handled', ['type', 'outcome'] as const);
  const durations = metrics.seconds('mailbox_event_seconds', 'From delivery to ack', ['type'] as const);
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
      openCalls,
      failed,
      storeAway: (error) => subscriptions.storeAway(error),
      outcome,
      faultPoint,
      onEffectRefused(effect, error) {
        refusals.inc();
        logger.warn({ userKey, effectId: effect.id, ...errorFields(error) }, 'effect.refused');
      },
    });

  const onDelivery = (partition: number, delivery: Delivery) => {
    const startedAt = performance.now();
    let event: Ev;
    try {
      event = edges.decode(delivery);
    } catch (error) {
      void parkUnreadable(delivery, error);
      return;
    }
    const settle = () => {
      delivery.ack();
      const seconds = (performance.now() - startedAt) / 1000;
      handled.inc({ type: event.type, outcome: 'done' });
      durations.observe({ type: event.type }, seconds);
      logger.info(
        {
          userKey: delivery.routingKey,
          type: event.type,
          messageId: event.id,
          correlationId: delivery.correlationId,
          deliveryCount: delivery.deliveryCount,
          durationMs: Math.round(seconds * 100_000) / 100,
        },
        'event.handled',
      );
    };
    deliveries.set(settle, delivery);
    actors.getOrCreate(delivery.routingKey, partition).push({ event, settle });
  };

  const parkUnreadable = async (delivery: Delivery, error: unknown) => {
    const { type, correlationId, routingKey, exchange, content } = delivery;
    // Without an id of its own, one that tells it from others and is the same when it comes again.
    const messageId = delivery.messageId || createHash('sha256').update(content).digest('hex');
    const origin = { type, messageId, correlationId, userKey: routingKey, exchange };
    const body = content.toString('utf8');
    try {
      await store.deadLetters.keep({
        service,
        reason: describeError(error),
        code: errorCode(error),
        attempts: 1,
        origin,
        body,
      });
      handled.inc({ type: 'unreadable', outcome: 'parked' });
      logger.error({ ...origin, ...errorFields(error) }, 'event.parked');
      delivery.ack();
    } catch (cause) {
      subscriptions.storeAway(cause);
    }
  };

  const failed = async (userKey: string, input: Input<Ev>, error: unknown): Promise<Verdict> => {
    const { event } = input;
    const delivery = deliveries.get(input.settle) ?? null;
    const isWake = event.type === behaviour.wake().type;
    const failedEvent: FailedEvent = { type: event.type, id: event.id, userKey, delivery, body: event, isWake };
    const parked = () => edges.parked(userKey, event);
    const verdict = await retryOrPark({ service, store, logger }, failedEvent, error, parked);
    if (verdict !== 'retry') handled.inc({ type: event.type, outcome: verdict });
    return verdict;
  };

  const outcome = (userKey: string, callKey: string, event: Ev) => {
    const saved = () => openCalls.delete(callKey);
    const forward = () => {
      const forwarded = edges
        .forwardOutcome(userKey, event)
        // Lost: the owner of the partition makes the call again, with the same ids.
        .catch((error) => logger.warn({ userKey, ...errorFields(error) }, 'outcome.not-forwarded'))
        .finally(() => {
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
  const subscriptions = createSubscriptions({
    ...options,
    onDelivery,
    drain: actors.drainPartition,
    forget: actors.dropPartition,
  });

  return {
    start() {
      subscriptions.start();
      sweep = startWakeSweep({ service, collection, broker, store, logger });
    },
    async stop() {
      isStopping = true;
      await Promise.all([sweep?.stop(), subscriptions.stop()]);
      // Outcomes that come now go through the broker; calls that take longer are made again by whoever is next.
      await waitUntil(() => openCalls.size === 0 && forwarding.size === 0, CALL_GRACE_MS);
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
