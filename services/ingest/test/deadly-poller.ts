// Ingest's poller as a process of its own whose page holds an item that kills it. Its one argument is JSON.
import { createBroker } from '@pipeline/broker';
import { createLogger, createMetrics } from '@pipeline/runtime';
import { openStore } from '@pipeline/store';
import { createClaimCode } from '../src/claim-code.ts';
import { createPoller, createPollMetrics } from '../src/poll-messages.ts';
import { createPublishItem } from '../src/publish-item.ts';
import { createPublishPage } from '../src/publish-page.ts';

export interface DeadlyPollerOptions {
  amqpUrl: string;
  mongoUri: string;
  openKfId: string;
  items: { msgid: string }[];
  deadly: string;
}

const { amqpUrl, mongoUri, openKfId, items, deadly } = JSON.parse(process.argv[2] ?? '{}') as DeadlyPollerOptions;
const logger = createLogger({ service: 'ingest', level: 'warn', destination: process.stderr });
const store = await openStore({ uri: mongoUri, logger });
const broker = await createBroker({ url: amqpUrl, name: 'deadly', logger });
const metrics = createMetrics('ingest');
const publishItem = createPublishItem({ publisher: broker, claimCode: createClaimCode(store) });
createPoller({
  openKfId,
  syncMsg: async ({ cursor }) => ({
    items: cursor ? [] : items,
    nextCursor: 'end',
    hasMore: false,
    isTokenRefused: false,
  }),
  publishPage: createPublishPage({
    async publishItem(account, item, receivedAt) {
      if (item.msgId === deadly) process.kill(process.pid, 'SIGKILL');
      await publishItem(account, item, receivedAt);
    },
    deadLetters: store.deadLetters,
    poisonCounts: store.poisonCounts,
    now: store.now,
    logger,
    metrics,
  }),
  cursors: store.syncCursors,
  poisonCounts: store.poisonCounts,
  lease: { isHeld: () => true, isElsewhere: () => false, stop: async () => {} },
  serversProblem: () => store.problem() ?? broker.problem(),
  now: store.now,
  intervals: { activeMs: 30, idleMs: 30, idleThresholdMs: 1_000, errorMs: 30, errorMaxMs: 1_000 },
  maxAgeMs: 600_000,
  logger,
  metrics: createPollMetrics(metrics),
}).start();
