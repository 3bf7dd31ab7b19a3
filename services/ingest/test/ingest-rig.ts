// Ingest between the WeCom simulator and servers of its own; every test has an account of its own.
import { afterAll, afterEach, beforeAll, beforeEach } from '@jest/globals';
import { BINDER_QUEUE } from '@pipeline/contracts';
import { readConfig, type Service } from '@pipeline/runtime';
import { startWecomSimulator, type WecomSimulator } from '../../../test/simulators/wecom/start-wecom-simulator.ts';
import { type Arrived, type OpenServers, openServers, quiet } from '../../../test/support/open-servers.ts';
import { freePorts } from '../../../test/support/pipeline.ts';
import { ingestSettings } from '../src/config.ts';
import { createIngest } from '../src/service.ts';

export let servers: OpenServers;
let ports: number[];
export const matched: { messageId: string; body: Record<string, unknown> }[] = [];
beforeAll(async () => {
  servers = await openServers();
  ports = await freePorts(2);
  servers.broker.consume({
    queue: BINDER_QUEUE,
    prefetch: 100,
    consumerTag: 'test-binder',
    onDelivery(delivery) {
      matched.push({ messageId: delivery.messageId, body: JSON.parse(delivery.content.toString()) });
      delivery.ack();
    },
  });
}, 120_000);
afterAll(() => servers?.drop());

export let simulator: WecomSimulator;
let running: Service[] = [];
let count = 0;
beforeEach(async () => {
  servers.arrived.length = 0;
  matched.length = 0;
  // An account of its own for each test: cursors and leases are the account's.
  simulator = await startWecomSimulator({ openKfId: `wk-${++count}` });
});
afterEach(async () => {
  for (const service of running) await service.stop();
  running = [];
  await simulator.close();
});

export function startIngest(settings: Record<string, string> = {}) {
  const port = ports[running.length] ?? 0;
  const service = createIngest(
    readConfig(ingestSettings, {
      RABBITMQ_URL: servers.amqpUrl,
      MONGODB_URI: servers.mongoUri,
      PARTITIONS: String(servers.partitions),
      INGEST_PORT: String(port),
      IT0_WECOM_API_URL: simulator.url,
      IT0_WECOM_CORP_ID: simulator.corpId,
      IT0_WECOM_KF_SECRET: simulator.secret,
      IT0_WECOM_KF_OPEN_KFID: simulator.openKfId,
      POLL_INTERVAL_ACTIVE_MS: '30',
      POLL_INTERVAL_IDLE_MS: '30',
      POLL_INTERVAL_ERROR_MS: '30',
      ...settings,
    }),
    quiet,
  );
  running.push(service);
  const get = async (path: string) => {
    const response = await fetch(`http://127.0.0.1:${port}${path}`);
    return { status: response.status, text: await response.text() };
  };
  return { service, get, started: service.start() };
}

export const isFor = (service: 'router' | 'sender') => (arrived: Arrived) => arrived.queue.startsWith(service);
export const idsAt = (service: 'router' | 'sender') =>
  servers.arrived.filter(isFor(service)).map(({ messageId }) => messageId);
export const write = (externalUserId: string, content: string, more: { sendTime?: number } = {}) =>
  simulator.control.sendMessage({ externalUserId, content, ...more }).msgid ?? '';
export const nowS = () => Math.floor(Date.now() / 1000);
