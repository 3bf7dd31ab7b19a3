// Actors' documents: conditional saves in bulk, and the sweep's claims.
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import mongoose from 'mongoose';
import {
  type ActorCollection,
  type ActorDocument,
  actorCollection,
  processedIdsWrite,
  type Store,
} from '../src/index.ts';
import { openTestStore } from './open.ts';
import { saves } from './saves.ts';

type State = { n: number; note?: string };
let opened: Awaited<ReturnType<typeof openTestStore>>;
let store: Store;
let actors: ActorCollection<State>;

beforeAll(async () => {
  opened = await openTestStore();
  store = opened.store;
  actors = store.actors<State>('conversations');
}, 120_000);
afterAll(() => opened?.close(), 20_000);

const document = (id: string, version: number, fields: Partial<ActorDocument<State>> = {}): ActorDocument<State> => ({
  _id: id,
  version,
  state: { n: version },
  effects: [],
  recentIds: [],
  newestMoved: {},
  newest: {},
  wakeAt: null,
  ...fields,
});
const versions = async (...ids: string[]) => {
  const found = await Promise.all(ids.map((id) => actors.load(id)));
  return found.map((document) => document?.version ?? 0);
};

test('a save counts only on the version it was made from; stale ones leave their neighbours alone', async () => {
  expect(await actors.saveAll(saves(document('a', 1), document('b', 1)))).toEqual(['saved', 'saved']);
  expect(await actors.saveAll(saves(document('b', 2)))).toEqual(['saved']);
  const mixed = [document('a', 2), document('b', 2), document('c', 1), document('d', 7), document('a', 1)];
  const outcomes = await actors.saveAll(saves(...mixed));
  expect(outcomes.slice(0, 3)).toEqual(['saved', 'stale', 'saved']);
  expect(outcomes[4]).toBe('stale');
  expect(await versions('a', 'b', 'c')).toEqual([2, 2, 1]);
  expect((await actors.load('b'))?.state).toEqual({ n: 2 });
});

test('of many that make the same save at once exactly one succeeds, for a new document as for an old one', async () => {
  for (const version of [1, 2, 3]) {
    const outcomes = await Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        actors.saveAll(saves(document('contended', version, { state: { n: version, note: `by ${index}` } }))),
      ),
    );
    const winners = outcomes.flatMap(([outcome], index) => (outcome === 'saved' ? [index] : []));
    expect(winners).toHaveLength(1);
    expect((await actors.load('contended'))?.state.note).toBe(`by ${winners[0]}`);
  }
});

test('a save replaces everything, the sweep’s claim included', async () => {
  await actors.saveAll(saves(document('claimed', 1, { wakeAt: 1_000, effects: [{ id: 'e' }] })));
  expect(await actors.claimOverdue(10_000, 0, 5_000, 10)).toEqual(['claimed']);
  expect((await actors.load('claimed'))?.wokenAt).toBe(10_000);
  await actors.saveAll(saves(document('claimed', 2)));
  const saved = await actors.load('claimed');
  expect(saved).toEqual(document('claimed', 2));
});

test('saves that not enough members have acknowledged have unknown outcomes', async () => {
  const connection = await mongoose.createConnection(opened.mongoUri, { writeConcern: { w: 9 } }).asPromise();
  const saving = actorCollection(connection, 'conversations').saveAll(saves(document('unacknowledged', 1)));
  await expect(saving).rejects.toMatchObject({ code: 'store-away' });
  await connection.close();
});

test.each(['journal=true', 'wtimeoutMS=5000'])('a URI may say %s', async (option) => {
  const { mongoUri } = opened;
  const uri = `${mongoUri}${mongoUri.includes('?') ? '&' : '?'}${option}`;
  const connection = await mongoose.createConnection(uri, { writeConcern: { w: 'majority' } }).asPromise();
  const saving = actorCollection(connection, 'conversations').saveAll(saves(document(option, 1)));
  await saving.finally(() => connection.close());
  expect(await saving).toEqual(['saved']);
});

test('recent ids come back as they were, however odd, and also from where they stood as an array', async () => {
  const recentIds = ['plain', 'two\nlines', 'quoted","', ''];
  await actors.saveAll(saves(document('ids', 1, { recentIds }), document('no-ids', 1)));
  const connection = await mongoose.createConnection(opened.mongoUri).asPromise();
  await connection.collection('conversations').insertOne(document('array', 1, { recentIds }) as never);
  await connection.close();
  const loaded = await Promise.all(['ids', 'no-ids', 'array'].map((id) => actors.load(id)));
  expect(loaded.map((found) => found?.recentIds)).toEqual([recentIds, [], recentIds]);
});

test('what is undefined is not saved', async () => {
  await actors.saveAll(saves(document('undefined', 1, { state: { n: 1, note: undefined } as never })));
  expect(Object.keys((await actors.load('undefined'))?.state ?? {})).toEqual(['n']);
});

test('documents that are too large, alone or together, fail with an error that is not "the database is away"', async () => {
  const large = document('large', 1, { state: { n: 1, note: 'x'.repeat(17_000_000) } });
  await expect(actors.saveAll(saves(large))).rejects.not.toMatchObject({ code: 'store-away' });
  const fitting = Array.from({ length: 17 }, (_, n) =>
    document(`fitting-${n}`, 1, { state: { n, note: 'x'.repeat(1_000_000) } }),
  );
  await expect(actors.saveAll(saves(...fitting))).rejects.not.toMatchObject({ code: 'store-away' });
  expect(await versions('large', 'fitting-0')).toEqual([0, 0]);
}, 120_000);

test('versionOf tells the stored version, 0 for nobody', async () => {
  await actors.saveAll(saves(document('known', 1)));
  expect([await actors.versionOf('known'), await actors.versionOf('unknown')]).toEqual([1, 0]);
});

test('two sweepers at once wake each overdue actor once, and again only after the pause', async () => {
  const ids = Array.from({ length: 50 }, (_, index) => `due-${index}`);
  const now = 1_000_000;
  await actors.saveAll(
    saves(
      ...ids.map((id, index) => document(id, 1, { wakeAt: now - 1_001 - index })),
      document('not-yet', 1, { wakeAt: now - 500 }),
      document('never', 1),
    ),
  );
  const sweep = async (at: number) => {
    const claims = await Promise.all([1, 2].map(() => actors.claimOverdue(at, 1_000, 5_000, 100)));
    return claims.flat().sort();
  };
  expect(await sweep(now)).toEqual([...ids].sort());
  expect(await sweep(now + 4_000)).toEqual(['not-yet']);
  expect(await sweep(now + 5_001)).toEqual([...ids].sort());
});

test('the most overdue come first when there are more than a sweep takes', async () => {
  const other = store.actors<State>('ledgers');
  await other.saveAll(saves(...[1, 2, 3, 4].map((n) => document(`limit-${n}`, 1, { wakeAt: n * 1_000 }))));
  expect(await other.claimOverdue(50_000, 1_000, 5_000, 2)).toEqual(['limit-1', 'limit-2']);
  expect(await other.claimOverdue(50_000, 1_000, 5_000, 2)).toEqual(['limit-3', 'limit-4']);
});

test('side writes may be repeated, and those of one document keep their order', async () => {
  const stored = { collection: 'deliveries' as const, filter: { _id: 'u:t1' }, upsert: true };
  const writes = [
    { ...stored, update: { $set: { source: 'a', kind: 'answer' } } },
    { ...stored, update: { $set: { source: 'b' } }, upsert: false },
    { ...stored, filter: { _id: 'u:t2' }, update: { $set: { source: 'c' } }, upsert: false },
    processedIdsWrite('router', 'u', ['1', '2']),
  ];
  await store.applySideWrites(writes);
  await store.applySideWrites(writes);
  expect(await store.deliveries.find('u', 't1')).toMatchObject({ source: 'b', kind: 'answer' });
  expect(await store.deliveries.find('u', 't2')).toBeNull();
  const isKnown = (service: string, userKey: string, id: string) => store.processedIds.isKnown(service, userKey, id);
  expect(await Promise.all(['1', '2', '3'].map((id) => isKnown('router', 'u', id)))).toEqual([true, true, false]);
  expect(await Promise.all([isKnown('router', 'u2', '1'), isKnown('sender', 'u', '1')])).toEqual([false, false]);
  // A frozen replica wakes up and writes what it had begun, before it learns that its save is stale.
  await store.applySideWrites([processedIdsWrite('router', 'u', ['1'])]);
  expect(await isKnown('router', 'u', '2')).toBe(true);
});

test('what is looked for by time or by unique key has its index, and the sweep uses its own', async () => {
  const connection = await mongoose.createConnection(opened.mongoUri).asPromise();
  const indexes = async (name: string) =>
    (await connection.collection(name).indexes()).map(({ key, unique, expireAfterSeconds }) =>
      [Object.keys(key).join(), unique ? 'unique' : '', expireAfterSeconds === undefined ? '' : 'ttl'].join(' ').trim(),
    );
  expect(await indexes('conversations')).toEqual(['_id', 'wakeAt']);
  expect(await indexes('ledgers')).toEqual(['_id', 'state.queue.waitingSince', 'wakeAt']);
  expect((await indexes('deliveries')).sort()).toEqual(['_id', 'expiresAt  ttl', 'msgids']);
  expect((await indexes('processed_ids')).sort()).toEqual(['_id', 'expiresAt  ttl']);
  expect((await indexes('poison_counts')).sort()).toEqual(['_id', 'expiresAt  ttl']);
  expect((await indexes('bindings')).sort()).toEqual(['_id', 'instanceId unique']);
  expect((await indexes('binding_codes')).sort()).toEqual([
    '_id',
    'claimedByUser,claimedByMsgId unique',
    'forgetAt  ttl',
    'instanceId unique',
  ]);
  // The server's own word on how it looked.
  const explained = async (name: string, ask: () => Promise<unknown>) => {
    const profiled = connection.db as NonNullable<typeof connection.db>;
    await profiled.command({ profile: 2 });
    await ask();
    await profiled.command({ profile: 0 });
    const [seen] = await profiled
      .collection('system.profile')
      .find({ ns: `${profiled.databaseName}.${name}`, 'command.find': name })
      .sort({ ts: -1 })
      .toArray();
    return seen?.planSummary;
  };
  expect(await explained('conversations', () => actors.claimOverdue(1, 0, 0, 1))).toBe('IXSCAN { wakeAt: 1 }');
  await connection.close();
}, 120_000);
