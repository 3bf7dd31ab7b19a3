// Two replicas on the same partitions, killed with SIGKILL and started again while numbers flow.
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { eventually } from '../../../test/support/eventually.ts';
import { oneTo, openRig, type Rig, userNames } from './rig.ts';
import { startToyChild, type ToyChild } from './toy-child.ts';

const USERS = 100;
const NUMBERS = 40;
const KILLS = 10;
const DUPLICATES = 0.2;
const CALLS = 0.05;

let rig: Rig;
const children: ToyChild[] = [];

beforeAll(async () => {
  rig = await openRig(4);
}, 120_000);
afterAll(async () => {
  for (const child of children) child.kill('SIGKILL');
  await Promise.all(children.map((child) => child.ended));
  await rig?.drop();
}, 120_000);

/** A small seeded generator (mulberry32), so that a failure can be repeated. */
function seeded(seed: number): () => number {
  let a = seed;
  return () => {
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

test('every number of every user is applied once and in order, however often replicas are killed', async () => {
  const seed = Number(process.env.KILL_SEED ?? Math.floor(Math.random() * 1e9));
  process.stderr.write(`kill test: KILL_SEED=${seed}\n`);
  const random = seeded(seed);
  const users = userNames(USERS);
  let started = 0;
  const start = () => {
    const { amqpUrl, mongoUri, partitions } = rig;
    const child = startToyChild({ amqpUrl, mongoUri, partitions, name: `toy-${started++}` });
    children.push(child);
    return child;
  };
  let running = [start(), start()];
  await Promise.all(running.map((child) => child.ready));

  let published = 0;
  const expectedCalls = new Map<string, number[]>();
  const publishAll = Promise.all(
    users.map(async (user) => {
      const calls: number[] = [];
      expectedCalls.set(user, calls);
      for (const n of oneTo(NUMBERS)) {
        const call = random() < CALLS ? { callMs: Math.floor(random() * 200) } : {};
        if (call.callMs !== undefined) calls.push(n);
        await rig.send(user, { n, ...call });
        if (random() < DUPLICATES) await rig.send(user, { n, ...call });
        published++;
        // The stream lasts as long as the killing: the broker alone would take it all in a second.
        await eventually('more is wanted', () => published < kills * ((USERS * NUMBERS) / KILLS) + USERS, {
          withinMs: 60_000,
        });
      }
    }),
  );
  let kills = 0;
  for (; kills < KILLS; kills++) {
    const startedAt = performance.now();
    const wait = 50 + random() * 400;
    const victim = running[Math.floor(random() * running.length)];
    await eventually('the moment', () => performance.now() - startedAt > wait, { everyMs: 5 });
    victim?.kill('SIGKILL');
    await victim?.ended;
    running = [...running.filter((child) => child !== victim), start()];
  }
  kills = KILLS + 1;
  await publishAll;
  await Promise.all(running.map((child) => child.ready));

  await eventually(
    'every list is complete',
    async () => {
      const found = await rig.statesOf(users);
      const short = users.filter(
        (user) =>
          (found.get(user)?.state.numbers.length ?? 0) < NUMBERS ||
          (found.get(user)?.state.called.length ?? 0) < (expectedCalls.get(user)?.length ?? 0) ||
          (found.get(user)?.effects.length ?? 1) > 0,
      );
      if (short.length > 0)
        throw new Error(`${short.length} users, ${short[0]}: ${JSON.stringify(found.get(short[0] ?? ''))}`);
      return true;
    },
    { withinMs: 20_000, everyMs: 100 },
  );
  for (const child of running) child.kill('SIGTERM');
  expect(await Promise.all(running.map((child) => child.ended))).toEqual([0, 0]);

  const found = await rig.statesOf(users);
  for (const user of users) {
    const { numbers, called } = found.get(user)?.state ?? { numbers: [], called: [] };
    expect([user, numbers]).toEqual([user, oneTo(NUMBERS)]);
    expect([user, called]).toEqual([user, expectedCalls.get(user)]);
    const passedOn = [...new Set(rig.recorded.get(user))];
    expect([user, passedOn.filter((what) => !what.startsWith('called'))]).toEqual([user, oneTo(NUMBERS).map(String)]);
    expect([user, passedOn.filter((what) => what.startsWith('called'))]).toEqual([
      user,
      called.map((n) => `called:${n}`),
    ]);
  }
  expect((await rig.leftInQueues()).filter((id) => !id.startsWith('wake:'))).toEqual([]);
}, 90_000);
