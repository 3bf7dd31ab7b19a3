// WeCom's quota, shared by replicas that have nothing in common but the database.
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { createCallQuota, createWecomClient, isWecomError, type WecomClient } from '@pipeline/wecom';
import { startWecomSimulator, type WecomSimulator } from '../../../test/simulators/wecom/start-wecom-simulator.ts';
import { eventually } from '../../../test/support/eventually.ts';
import { openReplicaStores, quiet } from '../../../test/support/open-servers.ts';

const PER_MINUTE = 240;
const REPLICAS = 3;
let opened: Awaited<ReturnType<typeof openReplicaStores>>;
let simulator: WecomSimulator;
let replicas: WecomClient[];

beforeAll(async () => {
  opened = await openReplicaStores(REPLICAS);
}, 120_000);
afterAll(() => opened?.drop());

let count = 0;
beforeEach(async () => {
  const settings = { callsPerMinute: PER_MINUTE, allowance: 10_000 };
  simulator = await startWecomSimulator({ corpId: `ww-${++count}`, settings });
  const { corpId, secret, url: apiUrl } = simulator;
  const limits = { perMinute: PER_MINUTE, perHour: 100_000 };
  replicas = opened.stores.map((store) =>
    createWecomClient({
      ...{ apiUrl, corpId, secret, timeoutMs: 5_000 },
      tokenStore: store.accessTokens.of({ corpId, secret }),
      clock: store.now,
      quota: createCallQuota({ store: store.callQuotas.of(corpId), limits, now: store.now, logger: quiet }),
    }),
  );
  simulator.control.sendMessage({ externalUserId: 'a', content: 'hi' });
});
afterEach(async () => {
  await Promise.all(replicas.map((replica) => replica.close()));
  await simulator.close();
});

let sends = 0;
/** @returns `sent`, or the code of the failure */
const send = (replica: WecomClient): Promise<string> =>
  replica.sendText({ openKfId: simulator.openKfId, externalUserId: 'a', msgid: `m${++sends}`, content: 'x' }).then(
    () => 'sent',
    (error) => (isWecomError(error) ? error.code : String(error)),
  );

test('a rush on all replicas is cut off where the quota ends, before WeCom has to', async () => {
  const outcomes = (
    await Promise.all(replicas.map((replica) => Promise.all(Array.from({ length: 200 }, () => send(replica)))))
  ).flat();
  const sent = outcomes.filter((outcome) => outcome === 'sent').length;
  expect(new Set(outcomes)).toEqual(new Set(['sent', 'wecom-quota-spent']));
  expect(sent).toBeLessThanOrEqual(PER_MINUTE);
  expect(sent).toBeGreaterThan(PER_MINUTE * 0.9);
  expect(simulator.control.calls().send_msg?.total).toBe(sent);
});

test('where WeCom says 45009 to one replica, none calls that API any more; other APIs go on', async () => {
  const [first, second, third] = replicas as [WecomClient, WecomClient, WecomClient];
  expect(await send(second)).toBe('sent');
  const fault = simulator.control.addFault({ api: 'send_msg', count: 1, action: { kind: 'errcode', errcode: 45009 } });
  expect(await send(first)).toBe('wecom-45009');
  simulator.control.removeFaults(fault.id);
  await eventually('the second rests', async () => (await send(second)) === 'wecom-quota-spent');
  const total = simulator.control.calls().send_msg?.total;
  for (const replica of [first, second, third]) expect(await send(replica)).toBe('wecom-quota-spent');
  expect(simulator.control.calls().send_msg?.total).toBe(total);
  expect(await third.syncMsg({ openKfId: simulator.openKfId })).toMatchObject({ items: [{}] });
});
