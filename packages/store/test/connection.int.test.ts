// The connection: patient, honest about its state, and with a clock that all processes share.
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import mongoose from 'mongoose';
import { eventually } from '../../../test/support/eventually.ts';
import { startTcpProxy, type TcpProxy } from '../../../test/support/tcp-proxy.ts';
import { openStore } from '../src/index.ts';
import { logger, openTestStore } from './open.ts';
import { saves } from './saves.ts';

let opened: Awaited<ReturnType<typeof openTestStore>>;
let proxy: TcpProxy;
afterEach(async () => {
  proxy.resume();
  await proxy.accept();
});
beforeAll(async () => {
  opened = await openTestStore();
  proxy = await startTcpProxy(opened.mongoUri);
}, 120_000);
afterAll(async () => {
  await opened?.close();
  await proxy?.close();
}, 120_000);

test('its clock is the server’s, and runs with it', async () => {
  const connection = await mongoose.createConnection(opened.mongoUri).asPromise();
  const differences: number[] = [];
  for (let round = 0; round < 20; round++) {
    const before = opened.store.now();
    const hello = await connection.db?.admin().command({ hello: 1 });
    const after = opened.store.now();
    const localTime = Number(hello?.localTime);
    // Between the two, but for whole milliseconds and the time one way takes.
    differences.push(Math.max(before - localTime, localTime - after));
  }
  await connection.close();
  expect(Math.min(...differences)).toBeLessThan(50);
});

test('it waits for a database that is not there yet', async () => {
  await proxy.refuse();
  const opening = openStore({ uri: proxy.through(opened.mongoUri), logger });
  await proxy.accept();
  const store = await opening;
  expect(store.problem()).toBeNull();
  expect(await store.syncCursors.open('wk', 1)).toMatchObject({ _id: 'wk' });
  await store.close();
}, 120_000);

test('waiting ends with the process', async () => {
  await proxy.refuse();
  const stopping = new AbortController();
  const opening = openStore({ uri: proxy.through(opened.mongoUri), logger, signal: stopping.signal });
  stopping.abort();
  await expect(opening).rejects.toMatchObject({ code: 'store-away' });
  await proxy.accept();
}, 120_000);

test('an address that is none is a configuration error at once', async () => {
  await expect(openStore({ uri: 'mongodb://host:port:port/x', logger })).rejects.toMatchObject({
    code: 'config-invalid',
  });
});

test('while the database is away every operation says so, and all is well when it is back', async () => {
  const store = await openStore({ uri: proxy.through(opened.mongoUri), logger });
  const actors = store.actors<object>('conversations');
  const fields = { state: {}, effects: [], recentIds: [], newest: {}, newestMoved: {}, wakeAt: null };
  const save = () => actors.saveAll(saves({ _id: 'u', version: 1, ...fields }));
  await proxy.refuse();
  proxy.cut();
  const attempts = await Promise.allSettled([
    save(),
    actors.load('u'),
    store.applySideWrites([
      { collection: 'deliveries', filter: { _id: 't' }, update: { $set: { a: 1 } }, upsert: true },
    ]),
    store.applySideWrites([
      { collection: 'deliveries', filter: { _id: 't' }, update: { $set: { a: 1 } }, upsert: true, isNew: true },
    ]),
    store.bindings.findByUser('u'),
    store.oldAnswers.untaken(),
    store.transaction((session) => store.bindings.removeByInstance('i', session)),
    store.deadLetters.list(null, 1),
    store.leases.acquire('l', 'o', 1, 1),
  ]);
  for (const attempt of attempts) expect(attempt).toMatchObject({ status: 'rejected', reason: { code: 'store-away' } });
  await eventually('it says so', () => store.problem() !== null);
  await proxy.accept();
  await store.whenUp();
  await eventually('a save works', async () => (await save().catch(() => [])).length === 1);
  await store.close();
}, 120_000);

test('a database that falls silent is noticed within seconds, and close does not wait for it', async () => {
  const store = await openStore({ uri: proxy.through(opened.mongoUri), logger });
  proxy.pause();
  const failing = store.deadLetters.list(null, 1).then(
    () => 'answered',
    (error) => error.code as string,
  );
  await eventually('it says so', () => store.problem() !== null);
  expect(await failing).toBe('store-away');
  const startedAt = performance.now();
  await store.close();
  expect(performance.now() - startedAt).toBeLessThan(15_000);
}, 120_000);
