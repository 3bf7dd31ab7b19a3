// Named operations whose outcome decides something: who wins, what was known before, what counts once.
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createConnection } from 'mongoose';
import type { SideWrite, Store } from '../src/index.ts';
import { openTestStore } from './open.ts';

let opened: Awaited<ReturnType<typeof openTestStore>>;
let store: Store;
beforeAll(async () => {
  opened = await openTestStore();
  store = opened.store;
}, 120_000);
afterAll(() => opened?.close(), 20_000);

const times = <T>(count: number, run: (index: number) => Promise<T>) =>
  Promise.all(Array.from({ length: count }, (_, index) => run(index)));

const newWrite = (id: string, kind: string): SideWrite => ({
  collection: 'deliveries',
  isNew: true,
  filter: { _id: id },
  update: { $set: { kind } },
  upsert: true,
});

test('new and known documents are written in one go, those of one document in order', async () => {
  const database = await createConnection(opened.mongoUri).asPromise();
  const kindOf = async (id: string) => (await database.collection('deliveries').findOne({ _id: id as never }))?.kind;
  await store.applySideWrites([newWrite('d1', '1'), newWrite('d2', '1')]);
  await store.applySideWrites([newWrite('d3', '2'), newWrite('d2', '2'), newWrite('d4', '2')]);
  expect(await Promise.all(['d1', 'd2', 'd3', 'd4'].map(kindOf))).toEqual(['1', '2', '2', '2']);
  await store.applySideWrites([newWrite('d5', '3'), newWrite('d5', '4'), newWrite('d1', '3')]);
  expect(await Promise.all(['d5', 'd1'].map(kindOf))).toEqual(['4', '3']);
  await database.close();
});

test('answers that an earlier version stored, and no turn took, are found until they are taken', async () => {
  const database = await createConnection(opened.mongoUri).asPromise();
  const answer = { ok: true, content: 'x', isTimeout: false };
  const old = (msgId: string, pending: number | null) => ({
    _id: `wk1:u:${msgId}`,
    userKey: 'wk1:u',
    msgId,
    answer,
    answerPendingSince: pending,
  });
  await database.collection('tasks').insertMany([old('m1', 5), old('m2', null)] as never[]);
  expect((await store.oldAnswers.untaken()).map(({ msgId }) => msgId)).toEqual(['m1']);
  await store.oldAnswers.take('wk1:u:m1');
  expect(await store.oldAnswers.untaken()).toEqual([]);
  expect(await store.oldAnswers.find('wk1:u:m2')).toMatchObject({ answer });
  await database.close();
});

test('an instance has one live code, however many are made at once', async () => {
  const now = store.now();
  const made = await times(6, (index) => {
    const code = `AAAA0${index}`;
    return store
      .transaction((session) => store.bindingCodes.create(code, 'one', now, 60_000, session))
      .then((isMade) => ({ code, isMade }));
  });
  const live = await store.bindingCodes.findLive('one', now);
  expect(made.filter(({ isMade }) => isMade).map(({ code }) => code)).toContain(live?._id);
  const states = await Promise.all(made.map(({ code }) => store.bindingCodes.find(code)));
  expect(states.filter((code) => code?.state === 'live')).toHaveLength(1);
}, 120_000);

test('a code that is taken is not made again, and the live one stays', async () => {
  const now = store.now();
  const create = (code: string, instanceId: string) =>
    store.transaction(async (session) => {
      const isMade = await store.bindingCodes.create(code, instanceId, now, 60_000, session);
      if (!isMade) await session.abortTransaction();
      return isMade;
    });
  expect(await create('BBBB01', 'two')).toBe(true);
  expect(await create('BBBB02', 'three')).toBe(true);
  expect(await create('BBBB01', 'three')).toBe(false);
  expect((await store.bindingCodes.findLive('three', now))?._id).toBe('BBBB02');
});

test('a code is claimed by one item only, is found by that item again, and settles once', async () => {
  const now = store.now();
  await store.transaction((session) => store.bindingCodes.create('CCCC01', 'four', now, 60_000, session));
  const claims = await times(10, (index) => store.bindingCodes.claim('CCCC01', `wk1:u${index}`, `m${index}`, now));
  expect(claims.filter(Boolean)).toHaveLength(1);
  const winner = claims.indexOf(true);
  expect((await store.bindingCodes.findClaimed(`wk1:u${winner}`, `m${winner}`))?._id).toBe('CCCC01');
  expect(await store.bindingCodes.claim('CCCC01', 'wk1:late', 'm', now)).toBe(false);
  await store.bindingCodes.settle('CCCC01', 'bound', 'name');
  await store.bindingCodes.settle('CCCC01', 'bindFailed', null);
  expect(await store.bindingCodes.find('CCCC01')).toMatchObject({ outcome: 'bound', instanceName: 'name' });
});

test('a code that has run out is neither live nor claimed', async () => {
  const now = store.now();
  await store.transaction((session) => store.bindingCodes.create('DDDD01', 'five', now, 1_000, session));
  expect(await store.bindingCodes.findLive('five', now + 1_000)).toBeNull();
  expect(await store.bindingCodes.claim('DDDD01', 'wk1:u', 'm', now + 1_000)).toBe(false);
});

test('a lease has one holder at a time, who may renew it, and passes on when it runs out or is given back', async () => {
  const taken = await times(10, (index) => store.leases.acquire('poll', `owner-${index}`, 1_000, 500));
  expect(taken.filter(Boolean)).toHaveLength(1);
  const owner = `owner-${taken.indexOf(true)}`;
  expect(await store.leases.acquire('poll', owner, 1_200, 500)).toBe(true);
  expect(await store.leases.acquire('poll', 'other', 1_600, 500)).toBe(false);
  expect(await store.leases.acquire('poll', 'other', 1_700, 500)).toBe(true);
  expect(await store.leases.acquire('poll', owner, 1_800, 500)).toBe(false);
  await store.leases.release('poll', owner); // no longer its own
  expect(await store.leases.acquire('poll', owner, 1_800, 500)).toBe(false);
  await store.leases.release('poll', 'other');
  expect(await store.leases.acquire('poll', owner, 1_800, 500)).toBe(true);
});

test('a wrong guess counts once per item, and none is lost when the first ones come at once', async () => {
  const forgetAt = new Date(Date.now() + 60_000);
  await times(8, (index) =>
    store.codeGuesses.add('wk1:guesser', { msgId: `g${index % 4}`, sendTime: 100 + (index % 4) }, forgetAt),
  );
  expect(await store.codeGuesses.count('wk1:guesser', 'other', 0, 200)).toBe(4);
  expect(await store.codeGuesses.count('wk1:guesser', 'g0', 0, 200)).toBe(3);
  expect(await store.codeGuesses.count('wk1:guesser', 'other', 100, 102)).toBe(2);
  expect(await store.codeGuesses.count('wk1:nobody', 'other', 0, 200)).toBe(0);
});

test('a cursor moves only from where it was read', async () => {
  expect(await store.syncCursors.open('wk9', 1_000)).toMatchObject({ firstStartedAt: 1_000 });
  expect(await store.syncCursors.open('wk9', 2_000)).toMatchObject({ firstStartedAt: 1_000 });
  const first = await times(5, (index) => store.syncCursors.advance('wk9', null, `c${index}`));
  expect(first.filter(Boolean)).toHaveLength(1);
  const at = `c${first.indexOf(true)}`;
  const second = await times(5, (index) => store.syncCursors.advance('wk9', at, `d${index}`));
  expect(second.filter(Boolean)).toHaveLength(1);
  expect(await store.syncCursors.advance('wk9', at, 'e')).toBe(false);
});

test('a binding is 1:1 whichever side is bound anew', async () => {
  const bind = (user: string, instanceId: string) =>
    store.transaction((session) =>
      store.bindings.replace({ _id: user, instanceId, externalUserId: user, boundAt: 1 }, session),
    );
  await bind('wk1:a', 'x');
  await bind('wk1:b', 'x');
  expect([await store.bindings.findByUser('wk1:a'), (await store.bindings.findByInstance('x'))?._id]).toEqual([
    null,
    'wk1:b',
  ]);
  await bind('wk1:b', 'y');
  const fields = { name: 'n', status: 'running', serverHost: 'h', hostPort: 1 };
  expect(await store.bindings.findByUser('wk1:b')).toMatchObject({ instanceId: 'y', instance: null });
  await store.instances.create({ _id: 'y', ...fields });
  expect((await store.bindings.findByUser('wk1:b'))?.instance).toMatchObject({ _id: 'y', ...fields });
  expect(await store.bindings.findByInstance('x')).toBeNull();
  await times(8, (index) => bind(`wk1:race-${index % 3}`, `race-${index % 2}`));
  const bound = await Promise.all([0, 1].map((n) => store.bindings.findByInstance(`race-${n}`)));
  expect(bound[0]?._id).not.toBe(bound[1]?._id);
}, 120_000);

test('a transaction that throws leaves nothing, one that conflicts is run again', async () => {
  await expect(
    store.transaction(async (session) => {
      await store.bindings.replace(
        { _id: 'wk1:undone', instanceId: 'undone', externalUserId: 'u', boundAt: 1 },
        session,
      );
      throw new Error('changed our mind');
    }),
  ).rejects.toThrow('changed our mind');
  expect(await store.bindings.findByUser('wk1:undone')).toBeNull();

  await store.instances.create({ _id: 'hot', name: 'n', status: 'running', serverHost: 'h', hostPort: 1 });
  let attempts = 0;
  await times(5, () =>
    store.transaction(async (session) => {
      attempts++;
      await store.instances.touch('hot', session);
    }),
  );
  expect(attempts).toBeGreaterThanOrEqual(5);
}, 120_000);

test('poison is counted per event', async () => {
  expect(await times(3, () => store.poisonCounts.raise('router', 'p'))).toEqual(expect.arrayContaining([1, 2, 3]));
  await store.poisonCounts.clear('router', 'p');
  expect(await store.poisonCounts.raise('router', 'p')).toBe(1);
});
