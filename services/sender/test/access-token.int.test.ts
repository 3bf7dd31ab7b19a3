// One access token for all processes: as many clients as a herd of them has, each with a connection of its own.
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { createWecomClient, type WecomClient } from '@pipeline/wecom';
import { startWecomSimulator, type WecomSimulator } from '../../../test/simulators/wecom/start-wecom-simulator.ts';
import { openReplicaStores } from '../../../test/support/open-servers.ts';

const PROCESSES = 20;
let opened: Awaited<ReturnType<typeof openReplicaStores>>;
let simulator: WecomSimulator;
let clients: WecomClient[];

beforeAll(async () => {
  opened = await openReplicaStores(PROCESSES);
}, 120_000);
afterAll(() => opened?.drop());

let count = 0;
beforeEach(async () => {
  // Every gettoken takes its time and hands out another token: a second one would show.
  simulator = await startWecomSimulator({ corpId: `ww-${++count}`, settings: { newTokenOnRefetch: true } });
  simulator.control.addFault({ api: 'gettoken', action: { kind: 'delay', delayMs: 150 } });
  const { corpId, secret, url: apiUrl } = simulator;
  clients = opened.stores.map((store) => {
    const tokenStore = store.accessTokens.of({ corpId, secret });
    return createWecomClient({ apiUrl, corpId, secret, timeoutMs: 5_000, tokenStore, clock: store.now });
  });
});
afterEach(async () => {
  await Promise.all(clients.map((client) => client.close()));
  await simulator.close();
});

const pull = (client: WecomClient) => client.syncMsg({ openKfId: simulator.openKfId });
const pullAll = () => Promise.all(clients.map(pull));
const fetches = () => simulator.control.calls().gettoken?.total ?? 0;

test('a herd of processes without a token fetches one', async () => {
  await pullAll();
  expect(fetches()).toBe(1);
  await pullAll();
  expect(fetches()).toBe(1);
});

test('a token that WeCom revoked is replaced once, however many processes were refused', async () => {
  await pullAll();
  simulator.control.revokeTokens();
  await pullAll();
  expect(fetches()).toBe(2);
});

test('a process that dies while it fetches holds the others up for seconds, and they fetch once', async () => {
  const [store] = opened.stores;
  const { corpId, secret } = simulator;
  expect(await store?.accessTokens.of({ corpId, secret }).claim()).toBe(true);
  const startedAt = performance.now();
  await pullAll();
  expect(performance.now() - startedAt).toBeLessThan(8_000);
  expect(fetches()).toBe(1);
});

test('a fetch that takes longer than a claim lasts is still the only one', async () => {
  simulator.control.removeFaults();
  simulator.control.addFault({ api: 'gettoken', action: { kind: 'delay', delayMs: 3_000 } });
  await pullAll();
  expect(fetches()).toBe(1);
});

test('another secret gets another token', async () => {
  const { corpId, secret } = simulator;
  const [first, second] = ['other', secret].map((each) => opened.stores[0]?.accessTokens.of({ corpId, secret: each }));
  await first?.write({ token: 'of the other', expiresAt: Number.MAX_SAFE_INTEGER });
  expect(await second?.read()).toBeNull();
});
