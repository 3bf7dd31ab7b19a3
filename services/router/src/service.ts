// Builds the router out of its parts.
import { BINDER_QUEUE, deadQueue, exchanges, mailboxQueues } from '@pipeline/contracts';
import { type FaultPoint, Mailbox } from '@pipeline/mailbox';
import type { Logger, Service } from '@pipeline/runtime';
import { createService, type OpenedParts, type ServiceParts } from '@pipeline/service';
import { addBridgeCallback } from './bridge/bridge-callback.ts';
import { createBridgeClient } from './bridge/bridge-client.ts';
import { createCircuitBreakers } from './bridge/circuit-breakers.ts';
import { takeOldAnswers } from './bridge/old-answers.ts';
import { createPublishAnswer } from './bridge/publish-answer.ts';
import type { RouterConfig } from './config.ts';
import type { BridgeOutcome, ConversationState, ConversationTypes } from './conversation/conversation-state.ts';
import { conversationBehaviour, conversationEdges } from './handle-mailbox.ts';

const PREFETCH = 200;

export function createRouter(config: RouterConfig, logger: Logger, faultPoint?: FaultPoint): Service {
  const queues = mailboxQueues('router', config.PARTITIONS);
  return createService({
    name: 'router',
    config,
    port: { number: config.ROUTER_PORT, variable: 'ROUTER_PORT' },
    uses: {
      exchanges: [exchanges.routerMailboxes, exchanges.senderMailboxes, exchanges.binder],
      queues: [...queues, BINDER_QUEUE],
    },
    deadQueue: deadQueue('router'),
    logger,
    build(parts) {
      const { app, health, metrics, broker, replica } = parts;
      let mailbox: Mailbox<ConversationTypes> | null = null;
      health.add('mailbox', () => (mailbox ? mailbox.problem() : 'not started yet'));
      health.addDetail('partitions', () => mailbox?.held() ?? null);
      const publishAnswer = createPublishAnswer({ publisher: broker, logger });
      addBridgeCallback(app, { publishAnswer, signingKeys: config.CALLBACK_SIGNING_KEYS, logger, metrics });

      return async (opened) => {
        mailbox = new Mailbox<ConversationTypes>({
          service: 'router',
          replica,
          exchange: exchanges.routerMailboxes,
          queues,
          prefetch: PREFETCH,
          leaveToCallerMs: config.BRIDGE_ACK_TIMEOUT_MS,
          broker: opened.broker,
          store: opened.store,
          collection: opened.store.actors<ConversationState>('conversations'),
          behaviour: conversationBehaviour({
            rateLimitPerMinute: config.RATE_LIMIT_PER_MINUTE,
            queueMaxDepth: config.QUEUE_MAX_DEPTH,
            callbackTimeoutMs: config.CALLBACK_TIMEOUT_MS,
            thinkingReminderMs: config.THINKING_REMINDER_MS,
          }),
          edges: conversationEdges({
            store: opened.store,
            publisher: opened.broker,
            bridge: openBridgeClient(config, parts, opened),
            publicUrl: config.AGENT_SERVICE_PUBLIC_URL,
            signingKeys: config.CALLBACK_SIGNING_KEYS,
            taskTimeoutS: config.TASK_TIMEOUT_S,
            logger,
            metrics,
          }),
          logger,
          metrics,
          faultPoint,
        });
        mailbox.start();
        opened.opened(() => mailbox?.stop());
        await takeOldAnswers({ store: opened.store, publishAnswer });
      };
    },
  });
}

function openBridgeClient(config: RouterConfig, { logger, metrics }: ServiceParts, { opened }: OpenedParts) {
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
  const client = createBridgeClient({
    ackTimeoutMs: config.BRIDGE_ACK_TIMEOUT_MS,
    allowedNetworks: config.BRIDGE_ALLOWED_NETWORKS,
    breakers,
  });
  opened(client.close);
  return client;
}
