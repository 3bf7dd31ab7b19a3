// Builds ingest out of its parts and gives it a beginning and an end.
import { type Broker, createBroker } from '@pipeline/broker';
import { BINDER_QUEUE, exchanges } from '@pipeline/contracts';
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
import { type CallQuota, createCallbackCrypto, createCallQuota, createWecomClient } from '@pipeline/wecom';
import { createClaimCode } from './claim-code.ts';
import type { IngestConfig } from './config.ts';
import { createLeaseHolder } from './hold-lease.ts';
import { createPoller, createPollMetrics, type Poller } from './poll-messages.ts';
import { createPublishItem } from './publish-item.ts';
import { createPublishPage } from './publish-page.ts';
import { createRingPuller, type Puller } from './ring-puller.ts';
import { createWecomCallback } from './wecom-callback.ts';

const CLOSE_MS = 1_000;

export function createIngest(config: IngestConfig, logger: Logger): Service {
  const health = createHealth();
  const metrics = createMetrics('ingest');
  const http = createHttpServer({
    bindAddress: config.BIND_ADDRESS,
    port: config.INGEST_PORT,
    portVariable: 'INGEST_PORT',
    health,
    metrics,
    logger,
  });
  // One account today; nothing below assumes that.
  const accounts = [config.IT0_WECOM_KF_OPEN_KFID];
  const pollers = new Map<string, Puller & { poller: Poller }>();
  const doorbell = doorbellKeys(config);
  // Before the first poll there is nobody to ring for: it comes by itself.
  let ring: ReturnType<typeof createRingPuller> = () => {};
  let store: Store | undefined;
  let broker: Broker | undefined;
  let quota: CallQuota | undefined;
  health.add('store', () => (store ? store.problem() : 'waiting for MongoDB'));
  health.add('broker', () => (broker ? broker.problem() : 'waiting for RabbitMQ'));
  health.addDetail('restingApis', () => quota?.resting() ?? {});
  metrics.gaugeOf('wecom_apis_resting', 'APIs whose quota is spent', () => Object.keys(quota?.resting() ?? {}).length);
  for (const openKfId of accounts) {
    health.add(`poll ${openKfId}`, () => (pollers.get(openKfId)?.poller ?? notStarted).problem());
    health.addDetail(`poll ${openKfId}`, () => (pollers.get(openKfId)?.poller ?? notStarted).state());
  }

  if (doorbell)
    http.app.use(
      createWecomCallback({
        crypto: createCallbackCrypto(doorbell),
        accounts,
        ring: (openKfId, token) => ring(openKfId, token),
        now: () => store?.now() ?? Date.now(),
        logger,
        metrics,
      }),
    );

  return createLifecycle(async ({ signal, opened }) => {
    // First, so that /healthz and /readyz answer while the rest still waits.
    await http.listen();
    opened(http.close);
    const { MONGODB_URI: uri, RABBITMQ_URL: url } = config;
    const myStore = await openStore({ uri, logger, signal });
    store = myStore;
    opened(myStore.close);
    metrics.gaugeOf('dead_letters', 'Events given up that wait for an operator', () =>
      myStore.deadLetters.countOpen('ingest').catch(() => NaN),
    );
    const replica = replicaName('ingest');
    const myBroker = await createBroker({ url, name: replica, logger, signal });
    broker = myBroker;
    opened(myBroker.close);
    const { routerMailboxes, senderMailboxes, binder, ingestRings } = exchanges;
    await myBroker.awaitTopology({
      exchanges: [routerMailboxes, senderMailboxes, binder, ingestRings],
      queues: [BINDER_QUEUE],
      partitions: config.PARTITIONS,
    });
    const app = { corpId: config.IT0_WECOM_CORP_ID, secret: config.IT0_WECOM_KF_SECRET };
    const myQuota = createCallQuota({
      store: myStore.callQuotas.of(app.corpId),
      limits: { perMinute: config.WECOM_QUOTA_PER_MINUTE, perHour: config.WECOM_QUOTA_PER_HOUR },
      now: myStore.now,
      logger,
    });
    quota = myQuota;
    const wecom = createWecomClient({
      ...app,
      apiUrl: config.IT0_WECOM_API_URL,
      timeoutMs: config.WECOM_TIMEOUT_MS,
      tokenStore: myStore.accessTokens.of(app),
      clock: myStore.now,
      quota: myQuota,
    });
    // It waits for the calls under way, which may take longer than a stop may.
    opened(() => waitAtMost(CLOSE_MS, wecom.close()));
    const publishPage = createPublishPage({
      publishItem: createPublishItem({ publisher: myBroker, claimCode: createClaimCode(myStore) }),
      deadLetters: myStore.deadLetters,
      poisonCounts: myStore.poisonCounts,
      now: myStore.now,
      logger,
      metrics,
    });
    const pollMetrics = createPollMetrics(metrics);
    const serversProblem = () =>
      myStore.problem() ?? myBroker.problem() ?? (myBroker.isBlocked() ? 'RabbitMQ holds publishers back' : null);
    for (const openKfId of accounts) {
      const lease = createLeaseHolder({
        leases: myStore.leases,
        name: `ingest:${openKfId}`,
        owner: crypto.randomUUID(),
        now: myStore.now,
        logger,
      });
      const poller = createPoller({
        openKfId,
        syncMsg: wecom.syncMsg,
        publishPage,
        cursors: myStore.syncCursors,
        poisonCounts: myStore.poisonCounts,
        lease,
        serversProblem,
        now: myStore.now,
        intervals: {
          activeMs: doorbell ? config.POLL_INTERVAL_DOORBELL_MS : config.POLL_INTERVAL_ACTIVE_MS,
          idleMs: doorbell ? config.POLL_INTERVAL_DOORBELL_MS : config.POLL_INTERVAL_IDLE_MS,
          idleThresholdMs: config.IDLE_THRESHOLD_MS,
          errorMs: config.POLL_INTERVAL_ERROR_MS,
          errorMaxMs: config.POLL_INTERVAL_ERROR_MAX_MS,
        },
        maxAgeMs: config.INGEST_MAX_AGE_MS,
        logger,
        metrics: pollMetrics,
      });
      lease.start();
      opened(lease.stop);
      poller.start();
      opened(poller.stop);
      pollers.set(openKfId, { poller, lease });
    }
    if (doorbell) ring = createRingPuller({ broker: myBroker, pullers: pollers, replica, logger });
  });
}

function doorbellKeys(config: IngestConfig) {
  const { IT0_WECOM_CALLBACK_TOKEN: token, IT0_WECOM_CALLBACK_AES_KEY: encodingAesKey } = config;
  return token && encodingAesKey ? { token, encodingAesKey, receiveId: config.IT0_WECOM_CORP_ID } : null;
}

const notStarted: Pick<Poller, 'problem' | 'state'> = {
  problem: () => 'not started yet',
  state: () => 'starting',
};
