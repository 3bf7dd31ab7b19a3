// What operators are told of answers that wait until their users write again.
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Store } from '../src/index.ts';
import { openTestStore } from './open.ts';
import { saves } from './saves.ts';

let opened: Awaited<ReturnType<typeof openTestStore>>;
let store: Store;
beforeAll(async () => {
  opened = await openTestStore();
  store = opened.store;
}, 120_000);
afterAll(() => opened?.close(), 20_000);

const save = (user: string, waitingSince: (number | null)[], version = 1) =>
  store.actors<object>('ledgers').saveAll(
    saves({
      _id: user,
      version,
      state: { queue: waitingSince.map((since) => ({ waitingSince: since })) },
      effects: [],
      recentIds: [],
      newest: {},
      newestMoved: {},
      wakeAt: null,
    }),
  );

test('users, their texts, and since when the oldest waits', async () => {
  expect(await store.waitingTexts.measure()).toEqual({ users: 0, texts: 0, oldestSince: null });
  await save('wk1:sending', [null]);
  await save('wk1:idle', []);
  await save('wk1:two', [2_000, 1_000, null]);
  await save('wk1:one', [3_000]);
  expect(await store.waitingTexts.measure()).toEqual({ users: 2, texts: 3, oldestSince: 1_000 });
  await save('wk1:two', [null], 2);
  expect(await store.waitingTexts.measure()).toEqual({ users: 1, texts: 1, oldestSince: 3_000 });
});
