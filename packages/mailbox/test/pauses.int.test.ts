// How long a user waits at most while a partition moves: a replica joins, leaves, or is killed. The figures are printed;
// on a machine with nothing else to do a hand-over takes less than 300 ms, a take-over less than 1 s.
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { sleep } from '@pipeline/runtime';
import { eventually } from '../../../test/support/eventually.ts';
import { openRig, type Rig, userNames } from './rig.ts';
import { startToyChild, type ToyChild } from './toy-child.ts';

const USERS = userNames(24, 'pause');
const EVERY_MS = 100;
/** Until everybody has settled on who reads what. */
const SETTLED_MS = 6_000;
const GIVE_UP_MS = 30_000;
/** The bars, with room for tests that run beside this one. */
const HAND_OVER_MS = 2_000;
const TAKE_OVER_MS = 4_000;

let rig: Rig;
const children = new Map<string, ToyChild>();
beforeAll(async () => {
  rig = await openRig(24);
}, 120_000);
afterAll(async () => {
  for (const child of children.values()) child.kill('SIGKILL');
  await Promise.all([...children.values()].map((child) => child.ended));
  await rig?.drop();
}, 60_000);

async function join(name: string) {
  const { amqpUrl, mongoUri, partitions } = rig;
  const child = startToyChild({ amqpUrl, mongoUri, partitions, name });
  children.set(name, child);
  await child.ready;
}

/** Every user sends a number each 100 ms. @returns the longest that one took from its publish until it was passed on, ms */
async function longestWait(during: () => Promise<void>): Promise<number> {
  let isEnough = false;
  let longest = 0;
  const passedOn = (user: string) => new Set(rig.recorded.get(user)).size;
  const start = Math.max(...USERS.map(passedOn));
  const sentAt: number[] = [];
  const watch = (async () => {
    const seen = new Map<string, number>();
    const giveUpAt = performance.now() + GIVE_UP_MS;
    const isDone = () => isEnough && USERS.every((user) => seen.get(user) === sentAt.length);
    for (; !isDone() && performance.now() < giveUpAt; await sleep(5))
      for (const user of USERS) {
        const passed = passedOn(user) - start;
        const before = seen.get(user) ?? 0;
        const now = performance.now();
        // The oldest that hasn't come yet has waited until now.
        if (passed < sentAt.length) longest = Math.max(longest, now - (sentAt[passed] ?? now));
        if (passed > before) seen.set(user, passed);
      }
  })();
  const sending = (async () => {
    for (; !isEnough; await sleep(EVERY_MS)) {
      sentAt.push(performance.now());
      const n = start + sentAt.length;
      await Promise.all(USERS.map((user) => rig.send(user, { n })));
    }
  })();
  await sleep(500);
  await during();
  await sleep(SETTLED_MS);
  isEnough = true;
  await sending;
  await watch;
  return Math.round(longest);
}

test('no user waits for long while partitions move', async () => {
  await join('a');
  await join('b');
  await sleep(SETTLED_MS);
  const waits = {
    'nothing happens': await longestWait(async () => {}),
    'a third joins': await longestWait(() => join('c')),
    'it leaves': await longestWait(async () => {
      children.get('c')?.kill('SIGTERM');
      await children.get('c')?.ended;
    }),
    'one is killed': await longestWait(async () => {
      children.get('b')?.kill('SIGKILL');
    }),
  };
  process.stderr.write(`longest wait of a user, ms: ${JSON.stringify(waits)}\n`);
  expect(waits['a third joins']).toBeLessThan(HAND_OVER_MS);
  expect(waits['it leaves']).toBeLessThan(HAND_OVER_MS);
  expect(waits['one is killed']).toBeLessThan(TAKE_OVER_MS);
  await eventually('nothing is left', async () => (await rig.statesOf(USERS)).size === USERS.length);
}, 180_000);
