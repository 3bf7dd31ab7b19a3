// A process that dies between any two steps of handling an event leaves nothing that the next one doesn't mend.
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { oneTo, openRig, type Rig, userNames } from './rig.ts';
import { startToyChild, type ToyChild } from './toy-child.ts';

let rig: Rig;
const children: ToyChild[] = [];

beforeAll(async () => {
  rig = await openRig(2);
}, 120_000);
afterEach(async () => {
  for (const child of children) child.kill('SIGKILL');
  await Promise.all(children.splice(0).map((child) => child.ended));
}, 120_000);
afterAll(() => rig?.drop(), 20_000);

const POINTS = ['side-writes-saved', 'saved', 'effect-run', 'removed', 'acked'];
const NUMBERS = 8;

test('a replica may die at any step of handling an event: the next one neither loses nor repeats it', async () => {
  const { amqpUrl, mongoUri, partitions } = rig;
  const users = userNames(6);
  const publish = async (from: number, to: number) => {
    for (const n of oneTo(to).slice(from))
      await Promise.all(users.map((user) => rig.send(user, { n, ...(n % 3 === 1 ? { callMs: 5 } : {}) })));
  };
  const wanted = oneTo(NUMBERS * POINTS.length);
  let published = 0;
  for (const point of POINTS) {
    // Only this one runs; the next takes over what it leaves.
    const child = startToyChild({ amqpUrl, mongoUri, partitions, name: `dies-${point}`, dieAt: { point, nth: 3 } });
    children.push(child);
    await publish(published, published + NUMBERS);
    published += NUMBERS;
    expect([point, await child.ended]).toEqual([point, 'SIGKILL']);
  }
  await rig.startReplica();
  await Promise.all(
    users.map(async (user) => {
      const called = wanted.filter((n) => n % 3 === 1);
      await rig.passesOnAll(user, [...wanted.map(String), ...called.map((n) => `called:${n}`)]);
      const state = await rig.stateOf(user);
      expect([user, state?.numbers]).toEqual([user, wanted]);
      expect([user, state?.called]).toEqual([user, called]);
      const passedOn = [...new Set(rig.recorded.get(user))];
      expect(passedOn.filter((what) => !what.startsWith('called'))).toEqual(wanted.map(String));
      expect(passedOn.filter((what) => what.startsWith('called'))).toEqual(called.map((n) => `called:${n}`));
    }),
  );
}, 90_000);
