// MongoDB goes away in every way a network knows: partitions are given up and taken again, and nothing is lost.
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { sleep } from '@pipeline/runtime';
import { eventually } from '../../../test/support/eventually.ts';
import { startTcpProxy, type TcpProxy } from '../../../test/support/tcp-proxy.ts';
import { oneTo, openRig, type Replica, type Rig, userNames } from './rig.ts';

const OUTAGE_MS = 3_000;
/** As the rig's replicas have it, by partition. */
const PREFETCH = 200;

let rig: Rig;
let proxy: TcpProxy;
let replicas: Replica[] = [];

beforeAll(async () => {
  rig = await openRig(2);
  proxy = await startTcpProxy(rig.mongoUri);
}, 120_000);
afterEach(async () => {
  await proxy.accept();
  proxy.resume();
  await Promise.all(replicas.map((replica) => replica.stop()));
  replicas = [];
}, 120_000);
afterAll(async () => {
  await rig?.drop();
  await proxy?.close();
}, 120_000);

const start = async (isBehindProxy: boolean) => {
  const name = isBehindProxy ? 'behind' : 'beside';
  const replica = await rig.startReplica({ name, ...(isBehindProxy ? { mongoUri: proxy.through(rig.mongoUri) } : {}) });
  replicas.push(replica);
  return replica;
};

const faults: Record<string, () => Promise<void> | void> = {
  'is cut off for a moment': () => proxy.cut(),
  'is gone': async () => {
    await proxy.refuse();
    proxy.cut();
  },
  'hears but does not answer': () => proxy.pause('down'),
};

for (const [how, strike] of Object.entries(faults))
  test(`when MongoDB ${how}, events wait for it and are handled once`, async () => {
    const replica = await start(true);
    const users = userNames(20, how.replaceAll(' ', '-'));
    const send = (from: number, to: number) =>
      Promise.all(
        users.flatMap((user) =>
          oneTo(to)
            .slice(from)
            .map((n) => rig.send(user, { n, sendTime: n })),
        ),
      );
    const sending = send(0, 20);
    await eventually('some are handled', () => users.some((user) => (rig.recorded.get(user)?.length ?? 0) > 0));
    await strike();
    await sending;
    await send(20, 30);
    if (how !== 'is cut off for a moment')
      await eventually('the partitions are given up', () => replica.mailbox.problem() !== null, { withinMs: 30_000 });
    await proxy.accept();
    proxy.resume();
    await Promise.all(users.map((user) => rig.passesOn(user, oneTo(30).map(String))));
    const found = await rig.statesOf(users);
    for (const user of users) expect(found.get(user)?.state.numbers).toEqual(oneTo(30));
    expect(await rig.store.deadLetters.list('router', 10)).toEqual([]);
    await eventually('all partitions are taken again', () => replica.mailbox.problem() === null);
  }, 120_000);

test('after MongoDB was away three times with a full prefetch, an uninvolved user soon has an answer', async () => {
  const replica = await start(true);
  const users = userNames(2 * PREFETCH, 'prefetched');
  for (const outage of oneTo(3)) {
    await proxy.refuse();
    proxy.cut();
    if (outage === 1) await Promise.all(users.map((user) => rig.send(user, { n: 1 })));
    await sleep(OUTAGE_MS);
    await proxy.accept();
    if (outage < 3)
      await eventually('all is delivered again', () => replica.mailbox.problem() === null, { everyMs: 5 });
  }
  const backAt = performance.now();
  const others = userNames(100, 'uninvolved');
  const waits = await Promise.all(
    others.map(async (user) => {
      await rig.send(user, { n: 1 });
      await rig.passesOn(user, ['1']);
      return performance.now() - backAt;
    }),
  );
  const p99 = waits.sort((a, b) => a - b)[98] ?? 0;
  process.stderr.write(`after the third outage uninvolved users waited ${Math.round(p99)} ms (p99)\n`);
  // Alone on two cores less than 2 s; here other tests run beside it.
  expect(p99).toBeLessThan(4_000);
  await Promise.all(users.map((user) => rig.passesOn(user, ['1'])));
}, 120_000);

test('a replica that has lost MongoDB leaves its partitions to one that has not', async () => {
  const lost = await start(true);
  await start(false);
  const user = 'wk1:moved';
  await rig.send(user, { n: 1 });
  await rig.passesOn(user, ['1']);
  await proxy.refuse();
  proxy.cut();
  for (const n of [2, 3, 4]) await rig.send(user, { n });
  await rig.passesOn(user, ['1', '2', '3', '4']);
  await eventually('it says so', () => lost.mailbox.problem() !== null);
}, 120_000);

test('a mailbox that has lost MongoDB stops within seconds', async () => {
  const replica = await start(true);
  await rig.send('wk1:stopping', { n: 1 });
  await rig.passesOn('wk1:stopping', ['1']);
  proxy.pause();
  await rig.send('wk1:stopping', { n: 2 });
  const startedAt = performance.now();
  await replica.stop();
  expect(performance.now() - startedAt).toBeLessThan(15_000);
  await start(false);
  await rig.passesOn('wk1:stopping', ['1', '2']);
}, 120_000);
