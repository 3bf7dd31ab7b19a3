// Builds the binder out of its parts and gives it a beginning and an end.
import { randomBytes } from 'node:crypto';
import { type Broker, createBroker, drainDeadQueue } from '@pipeline/broker';
import { BINDER_QUEUE, deadQueue, exchanges } from '@pipeline/contracts';
import {
  createHealth,
  createHttpServer,
  createLifecycle,
  createMetrics,
  jsonBody,
  type Logger,
  RetryableError,
  replicaName,
  type Service,
} from '@pipeline/runtime';
import { openStore, type Store } from '@pipeline/store';
import { bindCodeApi } from './bind-code-api.ts';
import { createBindUser } from './bind-user.ts';
import { CODE_BYTES, formatCode } from './binding-rules.ts';
import type { BinderConfig } from './config.ts';
import { createMatchConsumer, type MatchConsumer } from './consume-matches.ts';
import { createMatchHandler } from './handle-binding-matched.ts';
import { instanceRules } from './instance-fields.ts';
import { instancesApi } from './instances-api.ts';
import { requireToken } from './require-token.ts';

export function createBinder(config: BinderConfig, logger: Logger): Service {
  const health = createHealth();
  const metrics = createMetrics('binder');
  const http = createHttpServer({
    bindAddress: config.BIND_ADDRESS,
    port: config.BINDER_PORT,
    portVariable: 'BINDER_PORT',
    health,
    metrics,
    logger,
  });
  let store: Store | undefined;
  let broker: Broker | undefined;
  let consumer: MatchConsumer | undefined;
  health.add('store', () => (store ? store.problem() : 'waiting for MongoDB'));
  health.add('broker', () => (broker ? broker.problem() : 'waiting for RabbitMQ'));
  health.add('consumer', () => (consumer ? consumer.problem() : 'not started yet'));

  const openedStore = () => {
    if (!store) throw new RetryableError('store-away', 'not connected to MongoDB yet');
    return store;
  };
  const { CODE_TTL_MS: codeTtlMs, IT0_WECOM_KF_URL: kfUrl } = config;
  const drawCode = () => formatCode(randomBytes(CODE_BYTES));
  http.app.use('/api', requireToken(config.ADMIN_API_TOKEN), jsonBody());
  http.app.use('/api/v1/agent/instances', instancesApi(openedStore, instanceRules(config.BRIDGE_ALLOWED_NETWORKS)));
  http.app.use('/api/v1/agent/channels/wecom/bind', bindCodeApi(openedStore, { codeTtlMs, kfUrl, drawCode }));

  return createLifecycle(async ({ signal, opened }) => {
    // First, so that /healthz and /readyz answer while the rest still waits.
    await http.listen();
    opened(http.close);
    const { MONGODB_URI: uri, RABBITMQ_URL: url } = config;
    const myStore = await openStore({ uri, logger, signal });
    store = myStore;
    opened(myStore.close);
    metrics.gaugeOf('dead_letters', 'Events given up that wait for an operator', () =>
      myStore.deadLetters.countOpen('binder').catch(() => NaN),
    );
    const myBroker = await createBroker({ url, name: replicaName('binder'), logger, signal });
    broker = myBroker;
    opened(myBroker.close);
    const { routerMailboxes, senderMailboxes } = exchanges;
    await myBroker.awaitTopology({
      exchanges: [routerMailboxes, senderMailboxes],
      queues: [BINDER_QUEUE, deadQueue('binder')],
      partitions: config.PARTITIONS,
    });
    opened(
      drainDeadQueue({
        service: 'binder',
        broker: myBroker,
        keep: (letter) => myStore.deadLetters.keep({ service: 'binder', ...letter }),
        logger,
      }),
    );
    const matches = createMatchHandler({
      bindingCodes: myStore.bindingCodes,
      bindUser: createBindUser(myStore),
      publisher: myBroker,
    });
    consumer = createMatchConsumer({ broker: myBroker, store: myStore, matches, logger, metrics });
    consumer.start();
    opened(consumer.stop);
  });
}
