// Builds the sender out of its parts and gives it a beginning and an end.
import { type Broker, createBroker, drainDeadQueue } from '@pipeline/broker';
import { deadQueue, exchanges, mailboxQueues } from '@pipeline/contracts';
import { Mailbox } from '@pipeline/mailbox';
import {
  createHealth,
  createHttpServer,
  createLifecycle,
  createMetrics,
  type Logger,
  replicaName,
  type Service,
  waitAtMost,
} from '@pipeline/runtime';
import { openStore, type Store } from '@pipeline/store';
import { type CallQuota, createCallQuota, createWecomClient } from '@pipeline/wecom';
import { createAccountGates } from './account-gates.ts';
import type { SenderConfig } from './config.ts';
import { ledgerBehaviour, ledgerEdges } from './handle-mailbox.ts';
import type { LedgerState, LedgerTypes } from './ledger-state.ts';
import { createSendConcurrency } from './send-concurrency.ts';
import { watchWaitingTexts } from './watch-waiting-texts.ts';

const PREFETCH = 200;
const CLOSE_MS = 1_000;
/**
 * Most sends take less. WeCom refuses a msgid that it has had, so that a send made twice does no harm: a user whose sender
 * was killed need not wait until it is taken for dead.
 */
const LEAVE_TO_CALLER_MS = 1_000;

export function createSender(config: SenderConfig, logger: Logger): Service {
  const health = createHealth();
  const metrics = createMetrics('sender');
  const replica = replicaName('sender');
  const { PARTITIONS: partitions } = config;
  const queues = mailboxQueues('sender', partitions);
  let store: Store | null = null;
  let broker: Broker | null = null;
  let mailbox: Mailbox<LedgerTypes> | null = null;
  const gates = createAccountGates();
  const concurrency = createSendConcurrency();
  let quota: CallQuota | null = null;
  health.add('store', () => (store ? store.problem() : 'waiting for MongoDB'));
  health.add('broker', () => (broker ? broker.problem() : 'waiting for RabbitMQ'));
  health.add('mailbox', () => (mailbox ? mailbox.problem() : 'not started yet'));
  health.addDetail('partitions', () => mailbox?.held() ?? null);
  health.add('wecom', gates.problem);
  health.addDetail('restingApis', () => quota?.resting() ?? {});
  metrics.gaugeOf('wecom_apis_resting', 'APIs whose quota is spent', () => Object.keys(quota?.resting() ?? {}).length);
  metrics.gaugeOf('sender_sends_at_once', 'Sends allowed at once; Inf until WeCom complains', concurrency.limit);

  return createLifecycle(async ({ signal, opened }) => {
    const http = createHttpServer({
      bindAddress: config.BIND_ADDRESS,
      port: config.SENDER_PORT,
      portVariable: 'SENDER_PORT',
      health,
      metrics,
      logger,
    });
    // First, so that /healthz and /readyz answer while the rest still waits.
    await http.listen();
    opened(http.close);

    const openedStore = await openStore({ uri: config.MONGODB_URI, logger, signal });
    store = openedStore;
    opened(openedStore.close);
    metrics.gaugeOf('dead_letters', 'Events given up that wait for an operator', () =>
      openedStore.deadLetters.countOpen('sender').catch(() => NaN),
    );
    watchWaitingTexts(openedStore, metrics);
    const openedBroker = await createBroker({ url: config.RABBITMQ_URL, name: replica, logger, signal });
    broker = openedBroker;
    opened(openedBroker.close);
    await openedBroker.awaitTopology({
      exchanges: [exchanges.routerMailboxes, exchanges.senderMailboxes],
      queues: [...queues, deadQueue('sender')],
      partitions,
    });
    opened(
      drainDeadQueue({
        service: 'sender',
        broker: openedBroker,
        keep: (letter) => openedStore.deadLetters.keep({ service: 'sender', ...letter }),
        logger,
      }),
    );

    const app = { corpId: config.IT0_WECOM_CORP_ID, secret: config.IT0_WECOM_KF_SECRET };
    quota = createCallQuota({
      store: openedStore.callQuotas.of(app.corpId),
      limits: { perMinute: config.WECOM_QUOTA_PER_MINUTE, perHour: config.WECOM_QUOTA_PER_HOUR },
      now: openedStore.now,
      logger,
    });
    const wecom = createWecomClient({
      ...app,
      apiUrl: config.IT0_WECOM_API_URL,
      timeoutMs: config.WECOM_TIMEOUT_MS,
      tokenStore: openedStore.accessTokens.of(app),
      clock: openedStore.now,
      quota,
    });
    // It waits for the calls under way, which may take longer than a stop may.
    opened(() => waitAtMost(CLOSE_MS, wecom.close()));

    mailbox = new Mailbox<LedgerTypes>({
      service: 'sender',
      replica,
      exchange: exchanges.senderMailboxes,
      queues,
      prefetch: PREFETCH,
      leaveToCallerMs: LEAVE_TO_CALLER_MS,
      broker: openedBroker,
      store: openedStore,
      collection: openedStore.actors<LedgerState>('ledgers'),
      behaviour: ledgerBehaviour({
        allowance: config.SEND_ALLOWANCE,
        reserve: config.SEND_ALLOWANCE_RESERVE,
        windowMs: config.SEND_WINDOW_MS,
      }),
      edges: ledgerEdges({ store: openedStore, publisher: openedBroker, wecom, gates, concurrency, logger, metrics }),
      logger,
      metrics,
    });
    mailbox.start();
    opened(() => mailbox?.stop());
  });
}
