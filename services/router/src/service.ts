// Builds the router out of its parts and gives it a beginning and an end.
import { type Broker, createBroker, drainDeadQueue } from '@pipeline/broker';
import { BINDER_QUEUE, deadQueue, exchanges, mailboxQueues } from '@pipeline/contracts';
import { Mailbox } from '@pipeline/mailbox';
import {
  createHealth,
  createHttpServer,
  createLifecycle,
  createMetrics,
  type Logger,
  replicaName,
  type Service,
} from '@pipeline/runtime';
import { openStore, type Store } from '@pipeline/store';
import { addBridgeCallback } from './bridge-callback.ts';
import { createBridgeClient } from './bridge-client.ts';
import { createCircuitBreakers } from './circuit-breakers.ts';
import type { RouterConfig } from './config.ts';
import type { BridgeOutcome, ConversationState, ConversationTypes } from './conversation-state.ts';
import { conversationBehaviour, conversationEdges } from './handle-mailbox.ts';
import { takeOldAnswers } from './old-answers.ts';
import { createPublishAnswer } from './publish-answer.ts';

const PREFETCH = 200;

export function createRouter(config: RouterConfig, logger: Logger): Service {
  const health = createHealth();
  const metrics = createMetrics('router');
  const replica = replicaName('router');
  const { CALLBACK_SIGNING_KEYS: signingKeys, PARTITIONS: partitions } = config;
  const queues = mailboxQueues('router', partitions);
  let store: Store | null = null;
  let broker: Broker | null = null;
  let mailbox: Mailbox<ConversationTypes> | null = null;
  const publishAnswer = createPublishAnswer({ publisher: () => broker, logger });
  health.add('store', () => (store ? store.problem() : 'waiting for MongoDB'));
  health.add('broker', () => (broker ? broker.problem() : 'waiting for RabbitMQ'));
  health.add('mailbox', () => (mailbox ? mailbox.problem() : 'not started yet'));
  health.addDetail('partitions', () => mailbox?.held() ?? null);

  return createLifecycle(async ({ signal, opened }) => {
    const http = createHttpServer({
      bindAddress: config.BIND_ADDRESS,
      port: config.ROUTER_PORT,
      portVariable: 'ROUTER_PORT',
      health,
      metrics,
      logger,
    });
    addBridgeCallback(http.app, {
      publishAnswer,
      signingKeys,
      logger,
      metrics,
    });
    // First, so that /healthz and /readyz answer while the rest still waits.
    await http.listen();
    opened(http.close);

    const openedStore = await openStore({ uri: config.MONGODB_URI, logger, signal });
    store = openedStore;
    opened(openedStore.close);
    metrics.gaugeOf('dead_letters', 'Events given up that wait for an operator', () =>
      openedStore.deadLetters.countOpen('router').catch(() => NaN),
    );
    const openedBroker = await createBroker({ url: config.RABBITMQ_URL, name: replica, logger, signal });
    broker = openedBroker;
    opened(openedBroker.close);
    await openedBroker.awaitTopology({
      exchanges: [exchanges.routerMailboxes, exchanges.senderMailboxes, exchanges.binder],
      queues: [...queues, BINDER_QUEUE, deadQueue('router')],
      partitions,
    });
    opened(
      drainDeadQueue({
        service: 'router',
        broker: openedBroker,
        keep: (letter) => openedStore.deadLetters.keep({ service: 'router', ...letter }),
        logger,
      }),
    );

    const breakers = createCircuitBreakers<BridgeOutcome>(
      {
        errorPercent: config.BREAKER_ERROR_PERCENT,
        volume: config.BREAKER_VOLUME,
        windowMs: config.BREAKER_WINDOW_MS,
        resetMs: config.BREAKER_RESET_MS,
      },
      { logger, metrics },
    );
    opened(breakers.close);
    const bridge = createBridgeClient({
      ackTimeoutMs: config.BRIDGE_ACK_TIMEOUT_MS,
      allowedNetworks: config.BRIDGE_ALLOWED_NETWORKS,
      breakers,
    });
    opened(bridge.close);

    mailbox = new Mailbox<ConversationTypes>({
      service: 'router',
      replica,
      exchange: exchanges.routerMailboxes,
      queues,
      prefetch: PREFETCH,
      leaveToCallerMs: config.BRIDGE_ACK_TIMEOUT_MS,
      broker: openedBroker,
      store: openedStore,
      collection: openedStore.actors<ConversationState>('conversations'),
      behaviour: conversationBehaviour({
        rateLimitPerMinute: config.RATE_LIMIT_PER_MINUTE,
        queueMaxDepth: config.QUEUE_MAX_DEPTH,
        callbackTimeoutMs: config.CALLBACK_TIMEOUT_MS,
        thinkingReminderMs: config.THINKING_REMINDER_MS,
      }),
      edges: conversationEdges({
        store: openedStore,
        publisher: openedBroker,
        bridge,
        publicUrl: config.AGENT_SERVICE_PUBLIC_URL,
        signingKeys,
        taskTimeoutS: config.TASK_TIMEOUT_S,
        logger,
        metrics,
      }),
      logger,
      metrics,
    });
    mailbox.start();
    opened(() => mailbox?.stop());
    await takeOldAnswers({ store: openedStore, publishAnswer });
  });
}
