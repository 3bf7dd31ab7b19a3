// MongoDB goes away in every way a network knows: partitions are given up and taken again, and nothing is lost.
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { eventually } from '../../../test/support/eventually.ts';
import { startTcpProxy, type TcpProxy } from '../../../test/support/tcp-proxy.ts';
import { oneTo, openRig, type Replica, type Rig, userNames } from './rig.ts';

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
