// WeCom's doorbell on ingest: the simulator rings, replicas of ingest pull.
import { randomBytes } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { readConfig, type Service } from '@pipeline/runtime';
import { startWecomSimulator, type WecomSimulator } from '../../../test/simulators/wecom/start-wecom-simulator.ts';
import { eventually } from '../../../test/support/eventually.ts';
import { type OpenServers, openServers, quiet } from '../../../test/support/open-servers.ts';
import { freePorts } from '../../../test/support/pipeline.ts';
import { ingestSettings } from '../src/config.ts';
import { createIngest } from '../src/service.ts';

const keys = { token: 'callback-token', encodingAesKey: randomBytes(32).toString('base64').slice(0, 43) };
let servers: OpenServers;
let ports: number[];
beforeAll(async () => {
  servers = await openServers();
  ports = await freePorts(2);
}, 120_000);
afterAll(() => servers?.drop());

let simulator: WecomSimulator;
const running: Service[] = [];
let count = 0;
beforeEach(async () => {
  servers.arrived.length = 0;
  // A corp of its own too: access tokens of another simulator are no good here.
  simulator = await startWecomSimulator({ corpId: `ww-${++count}`, openKfId: `wk-${count}` });
});
afterEach(async () => {
  for (const service of running.splice(0)) await service.stop();
  await simulator.close();
});

const urlOf = (replica: number) => `http://127.0.0.1:${ports[replica]}`;
const ringAt = (replica: number) =>
  simulator.control.setCallback({
    ...keys,
    url: `${urlOf(replica)}/wecom/callback`,
    coalesce: true,
    lossProbability: 0,
    duplicateProbability: 0,
    jitterMs: 0,
  });

/** @returns a replica that is ready and has polled, or stands by */
async function startIngest(settings: Record<string, string> = {}): Promise<Service> {
  const replica = running.length;
  const service = createIngest(
    readConfig(ingestSettings, {
      RABBITMQ_URL: servers.amqpUrl,
      MONGODB_URI: servers.mongoUri,
      PARTITIONS: String(servers.partitions),
      INGEST_PORT: String(ports[replica]),
      IT0_WECOM_API_URL: simulator.url,
      IT0_WECOM_CORP_ID: simulator.corpId,
      IT0_WECOM_KF_SECRET: simulator.secret,
      IT0_WECOM_KF_OPEN_KFID: simulator.openKfId,
      IT0_WECOM_CALLBACK_TOKEN: keys.token,
      IT0_WECOM_CALLBACK_AES_KEY: keys.encodingAesKey,
      ...settings,
    }),
    quiet,
  );
  running.push(service);
  await service.start();
  await eventually('a part to play', async () => /"(polling|stand-by)"/.test(await get(replica, '/readyz')));
  return service;
}

const get = async (replica: number, path: string) => (await fetch(urlOf(replica) + path)).text();
const polls = () => simulator.control.calls().sync_msg?.total ?? 0;
const write = (content: string) => simulator.control.sendMessage({ externalUserId: 'a', content });
const texts = () => servers.arrived.filter(({ queue }) => queue.startsWith('router')).map(({ body }) => body.text);
const pulledAfterMs = () =>
  simulator.control
    .messages({})
    .map(({ injectedAt, firstReturnedAt }) => (firstReturnedAt ?? Number.POSITIVE_INFINITY) - injectedAt);

test('the URL check passes, and what the doorbell rings for is there long before the next poll', async () => {
  await startIngest();
  ringAt(0);
  expect(await simulator.control.checkCallbackUrl()).toMatchObject({ ok: true, status: 200 });
  await eventually('the first poll', () => polls() === 1);
  for (let n = 1; n <= 5; n++) {
    write(`message ${n}`);
    await eventually('it arrives', () => texts().length === n);
  }
  expect(texts()).toEqual([1, 2, 3, 4, 5].map((n) => `message ${n}`));
  expect(Math.max(...pulledAfterMs())).toBeLessThan(2_000);
  // Each with the token of its notification, and none besides.
  expect(simulator.control.rings().every(({ status }) => status === 200)).toBe(true);
  expect(polls()).toBeLessThanOrEqual(1 + 2 * 5);
});

test('a burst of messages and rings is pulled completely, in order', async () => {
  await startIngest();
  ringAt(0);
  const written = Array.from({ length: 300 }, (_, n) => String(n));
  for (const text of written) {
    write(text);
    // Further ones come while the first are pulled.
    if (Number(text) % 50 === 49) await eventually('it arrives', () => texts().length >= Number(text) - 40);
  }
  await eventually('all arrive', () => texts().length === written.length);
  expect(texts()).toEqual(written);
  expect(polls()).toBeLessThan(written.length);
});

test('without a ring only the safety net polls', async () => {
  await startIngest({ POLL_INTERVAL_ACTIVE_MS: '10', POLL_INTERVAL_IDLE_MS: '10', POLL_INTERVAL_DOORBELL_MS: '700' });
  const [startedAt, first] = [performance.now(), polls()];
  write('nobody rings');
  await eventually('it arrives', () => texts().length === 1);
  await eventually('a whole interval', () => polls() >= first + 2);
  expect(performance.now() - startedAt).toBeGreaterThan(600);
});

test('a ring at the replica that does not pull reaches the one that does, also after they changed places', async () => {
  const first = await startIngest();
  await eventually('the first poll', () => polls() === 1);
  await startIngest();
  expect(await get(1, '/readyz')).toContain('stand-by');
  ringAt(1);
  write('to the second');
  await eventually('it arrives', () => texts().length === 1);
  await first.stop();
  await eventually('a poll of the second', async () => (await get(1, '/readyz')).includes('polling'));
  running[0] = await restart();
  expect(await get(0, '/readyz')).toContain('stand-by');
  ringAt(0);
  write('to the first');
  await eventually('it arrives', () => texts().length === 2);
  expect(texts()).toEqual(['to the second', 'to the first']);
  expect(Math.max(...pulledAfterMs())).toBeLessThan(2_000);
});

/** The first replica's place taken by a new one. */
async function restart(): Promise<Service> {
  const [, second] = running.splice(0);
  const service = await startIngest();
  if (second) running.push(second);
  return service;
}

test('without keys there is no callback', async () => {
  await startIngest({ IT0_WECOM_CALLBACK_TOKEN: '', IT0_WECOM_CALLBACK_AES_KEY: '' });
  for (const method of ['GET', 'POST'])
    expect((await fetch(`${urlOf(0)}/wecom/callback?timestamp=1`, { method })).status).toBe(404);
});

test('a token that WeCom takes no more costs nothing but a call', async () => {
  simulator.control.changeSettings({ syncTokenTtlMs: 1 });
  await startIngest();
  ringAt(0);
  await eventually('the first poll', () => polls() === 1);
  write('with a stale token');
  await eventually('it arrives', () => texts().length === 1);
});
