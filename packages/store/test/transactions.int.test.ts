// A transaction left open by a process that died, or froze, doesn't hold the others up.
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { openTestStore } from './open.ts';

let opened: Awaited<ReturnType<typeof openTestStore>>;
beforeAll(async () => {
  opened = await openTestStore();
}, 120_000);
afterAll(() => opened.close());

test('a transaction that nobody ends is ended by the one that it blocks, within seconds', async () => {
  const { store } = opened;
  await store.instances.create({ _id: 'i', name: 'n', status: 'running', serverHost: '', hostPort: 0 });
  let release = () => {};
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  let touched = () => {};
  const holding = new Promise<void>((resolve) => {
    touched = resolve;
  });
  const abandoned = store
    .transaction(async (session) => {
      await store.instances.touch('i', session);
      touched();
      await released;
    })
    .then(
      () => 'committed',
      () => 'ended',
    );
  await holding;
  const startedAt = performance.now();
  await store.transaction((session) => store.instances.touch('i', session));
  expect(performance.now() - startedAt).toBeLessThan(9_000);
  release();
  await abandoned;
}, 120_000);
