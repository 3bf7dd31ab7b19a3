import { expect, test } from '@jest/globals';
import { createLogger } from '@pipeline/runtime';
import type { SeenReplica, Store } from '@pipeline/store';
import { type Members, Membership } from './membership.ts';

/** What replica `a` makes of what it sees. @param seen by its clock, which only the test moves */
async function setUp(seen: () => SeenReplica[]) {
  let now = 100_000;
  const said: Members[] = [];
  const replicas = { seen: async () => seen(), beat: async () => {}, leave: async () => {} };
  const membership = new Membership({
    service: 'router',
    name: 'a',
    store: { replicas, now: () => now } as unknown as Pick<Store, 'replicas' | 'now'>,
    logger: createLogger({ service: 'test', level: 'silent' }),
    subscribed: () => ({ 1: 3 }),
    onSeen: (members) => said.push(members),
  });
  const settle = async () => {
    for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
  };
  await settle();
  return {
    said,
    membership,
    async beatAfter(ms: number) {
      now += ms;
      membership.beatSoon();
      await settle();
      return said.at(-1);
    },
  };
}

test('a replica that a read finds twice, or that has said more since, counts once and by its last word', async () => {
  const { said, membership } = await setUp(() => [
    { name: 'b', subscribed: { 0: 1 }, beatAt: 99_000 },
    { name: 'a', subscribed: {}, beatAt: 99_000 },
    { name: 'b', subscribed: { 0: 2 }, beatAt: 99_900 },
  ]);
  await membership.leave();
  expect(said).toEqual([
    {
      alive: [
        { name: 'b', subscribed: { 0: 2 } },
        { name: 'a', subscribed: { 1: 3 }, isLeaving: false },
      ],
      haveDied: false,
    },
  ]);
});

test('who has been silent for three beats has died, unless nobody could beat', async () => {
  const b = { name: 'b', subscribed: {}, beatAt: 99_500 };
  const { beatAfter, membership } = await setUp(() => [b]);
  expect(await beatAfter(1_000)).toMatchObject({ haveDied: false, alive: [{ name: 'b' }, { name: 'a' }] });
  // The database is away for 10 s.
  expect(await beatAfter(10_000)).toMatchObject({ haveDied: false, alive: [{ name: 'a' }] });
  b.beatAt = 111_500;
  expect(await beatAfter(1_000)).toMatchObject({ haveDied: false, alive: [{ name: 'b' }, { name: 'a' }] });
  expect(await beatAfter(2_900)).toMatchObject({ haveDied: true, alive: [{ name: 'a' }] });
  await membership.leave();
});

test('a process that starts after the death of another knows it at once', async () => {
  const { said, membership } = await setUp(() => [{ name: 'b', subscribed: {}, beatAt: 90_000 }]);
  await membership.leave();
  expect(said).toMatchObject([{ haveDied: true }]);
});
