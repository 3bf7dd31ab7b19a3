// Builds ingest out of its parts.
import { BINDER_QUEUE, exchanges } from '@pipeline/contracts';
import type { Logger, Service } from '@pipeline/runtime';
import { createService, type OpenedParts, prepareWecom, type ServiceParts } from '@pipeline/service';
import { createCallbackCrypto, type WecomClient } from '@pipeline/wecom';
import { createClaimCode } from './claim-code.ts';
import type { IngestConfig } from './config.ts';
import { createLeaseHolder } from './hold-lease.ts';
import { createPoller, createPollMetrics, type Poller } from './poll-messages.ts';
import { createPublishItem } from './publish-item.ts';
import { createPublishPage } from './publish-page.ts';
import { createRingPuller, type Puller } from './ring-puller.ts';
import { createWecomCallback } from './wecom-callback.ts';

type AccountPuller = Puller & { poller: Poller };

export function createIngest(config: IngestConfig, logger: Logger): Service {
  const { routerMailboxes, senderMailboxes, binder, ingestRings } = exchanges;
  // One account today; nothing below assumes that.
  const accounts = [config.IT0_WECOM_KF_OPEN_KFID];
  return createService({
    name: 'ingest',
    config,
    port: { number: config.INGEST_PORT, variable: 'INGEST_PORT' },
    uses: { exchanges: [routerMailboxes, senderMailboxes, binder, ingestRings], queues: [BINDER_QUEUE] },
    logger,
    build(parts) {
      const { health, replica } = parts;
      const pullers = new Map<string, AccountPuller>();
      const openWecom = prepareWecom(config, parts);
      // Before the first poll there is nobody to ring for: it comes by itself.
      let ring: ReturnType<typeof createRingPuller> = () => {};
      for (const openKfId of accounts) {
        const poller = () => pullers.get(openKfId)?.poller ?? notStarted;
        health.add(`poll ${openKfId}`, () => poller().problem());
        health.addDetail(`poll ${openKfId}`, () => poller().state());
      }
      const hasDoorbell = addDoorbell(config, parts, accounts, (openKfId, token) => ring(openKfId, token));

      return (opened) => {
        const startPoller = preparePollers(config, parts, opened, openWecom(opened));
        for (const openKfId of accounts) pullers.set(openKfId, startPoller(openKfId));
        if (hasDoorbell) ring = createRingPuller({ broker: opened.broker, pullers, replica, logger });
      };
    },
  });
}

/** @returns whether WeCom's callback is set up */
function addDoorbell(
  config: IngestConfig,
  { app, now, logger, metrics }: ServiceParts,
  accounts: readonly string[],
  ring: (openKfId: string, token: string) => void,
): boolean {
  const { IT0_WECOM_CALLBACK_TOKEN: token, IT0_WECOM_CALLBACK_AES_KEY: encodingAesKey } = config;
  if (!token || !encodingAesKey) return false;
  const crypto = createCallbackCrypto({ token, encodingAesKey, receiveId: config.IT0_WECOM_CORP_ID });
  app.use(createWecomCallback({ crypto, accounts, ring, now, logger, metrics }));
  return true;
}

/** @returns starts to poll an account */
function preparePollers(
  config: IngestConfig,
  { logger, metrics }: ServiceParts,
  { store, broker, opened }: OpenedParts,
  wecom: WecomClient,
): (openKfId: string) => AccountPuller {
  const hasDoorbell = config.IT0_WECOM_CALLBACK_TOKEN !== undefined;
  const publishPage = createPublishPage({
    publishItem: createPublishItem({ publisher: broker, claimCode: createClaimCode(store) }),
    deadLetters: store.deadLetters,
    poisonCounts: store.poisonCounts,
    now: store.now,
    logger,
    metrics,
  });
  const pollMetrics = createPollMetrics(metrics);
  const serversProblem = () =>
    store.problem() ?? broker.problem() ?? (broker.isBlocked() ? 'RabbitMQ holds publishers back' : null);
  return (openKfId) => {
    const lease = createLeaseHolder({
      leases: store.leases,
      name: `ingest:${openKfId}`,
      owner: crypto.randomUUID(),
      now: store.now,
      logger,
    });
    const poller = createPoller({
      openKfId,
      syncMsg: wecom.syncMsg,
      publishPage,
      cursors: store.syncCursors,
      poisonCounts: store.poisonCounts,
      lease,
      serversProblem,
      now: store.now,
      intervals: {
        activeMs: hasDoorbell ? config.POLL_INTERVAL_DOORBELL_MS : config.POLL_INTERVAL_ACTIVE_MS,
        idleMs: hasDoorbell ? config.POLL_INTERVAL_DOORBELL_MS : config.POLL_INTERVAL_IDLE_MS,
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
    return { poller, lease };
  };
}

const notStarted: Pick<Poller, 'problem' | 'state'> = {
  problem: () => 'not started yet',
  state: () => 'starting',
};
