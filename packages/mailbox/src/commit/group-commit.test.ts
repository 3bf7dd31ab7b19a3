// What is written before an actor's document, what is deferred and superseded, and what becomes of the others if one
// can't be written.
import { afterEach, beforeEach, expect, jest, test } from '@jest/globals';
import type { ActorDocument, ActorSave, SaveOutcome, SideWrite } from '@pipeline/store';
import { GroupCommit } from './group-commit.ts';

const document = (version: number, _id = 'u') => ({ _id, version, state: version }) as unknown as ActorDocument<number>;
const sideOf = (_id: string): SideWrite => ({ collection: 'deliveries', filter: { _id }, update: {}, upsert: true });

beforeEach(() => void jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick', 'queueMicrotask'] }));
afterEach(() => void jest.useRealTimers());

const settleDown = async () => {
  for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => setImmediate(resolve));
};

/** A database that notes what is begun, and ends each write when told to. */
function slowDatabase() {
  const begun: string[] = [];
  const ends: ((how: SaveOutcome | Error) => void)[] = [];
  const begin = (name: string) => {
    begun.push(name);
    return new Promise<SaveOutcome>((resolve, reject) =>
      ends.push((how) => (how instanceof Error ? reject(how) : resolve(how))),
    );
  };
  const nameOf = ({ document: { version }, replaces }: ActorSave<number>) => `${replaces}→${version}`;
  const collection = {
    async saveAll(saves: readonly ActorSave<number>[]) {
      const outcome = await begin(saves.map(nameOf).join());
      return saves.map(() => outcome);
    },
  };
  const groupCommit = new GroupCommit<number>(
    collection,
    async (sideWrites) => void (await begin(sideWrites.map(({ filter }) => filter._id).join())),
  );
  const outcomes: string[] = [];
  const commit = async (version: number, urgency: 'now' | 'soon', sideWrites: SideWrite[] = []) => {
    const save = { document: document(version), replaces: version - 1, sideWrites };
    groupCommit.commit(save, urgency).then(
      (outcome) => outcomes.push(`${version} ${outcome}`),
      (error) => outcomes.push(`${version} ${error.message}`),
    );
    await settleDown();
  };
  const end = async (how: SaveOutcome | Error = 'saved') => {
    ends.shift()?.(how);
    await settleDown();
  };
  return { begun, outcomes, commit, end, groupCommit };
}

test('a document waits for what must be there before it', async () => {
  const { begun, outcomes, commit, end } = slowDatabase();
  await commit(1, 'now', [sideOf('side')]);
  expect(begun).toEqual(['side']);
  await end();
  expect([begun, outcomes]).toEqual([['side', '0→1'], []]);
  await end();
  expect(outcomes).toEqual(['1 saved']);
});

test('a deferred document is written within a second, or at once when that is asked for', async () => {
  const { begun, commit, groupCommit } = slowDatabase();
  await commit(1, 'soon');
  await jest.advanceTimersByTimeAsync(700);
  await settleDown();
  expect(begun).toEqual([]);
  await jest.advanceTimersByTimeAsync(301);
  await settleDown();
  expect(begun).toEqual(['0→1']);
  await commit(2, 'soon');
  groupCommit.flush();
  await settleDown();
  expect(begun).toEqual(['0→1']); // never two documents of one actor at once
});

test('a newer document supersedes a deferred one, with what stands before both, and both commits end alike', async () => {
  const { begun, outcomes, commit, end } = slowDatabase();
  await commit(1, 'soon', [sideOf('a')]);
  await commit(2, 'soon');
  await commit(3, 'now', [sideOf('b')]);
  expect(begun).toEqual(['a,b']);
  await end();
  expect(begun).toEqual(['a,b', '0→3']);
  await end();
  expect(outcomes).toEqual(['1 saved', '2 saved', '3 saved']);
});

test('what is committed while a document is being written follows it, and is stale if that one is', async () => {
  const { begun, outcomes, commit, end, groupCommit } = slowDatabase();
  await commit(1, 'soon');
  groupCommit.flush();
  await commit(2, 'now');
  expect(begun).toEqual(['0→1']);
  await end();
  expect([begun, outcomes]).toEqual([['0→1', '1→2'], ['1 saved']]);
  await commit(3, 'now');
  await end('stale');
  expect([begun.length, outcomes]).toEqual([2, ['1 saved', '2 stale', '3 stale']]);
  await commit(8, 'now');
  expect(begun).toEqual(['0→1', '1→2', '7→8']);
});

test('a document that can not be written fails alone', async () => {
  const collection = {
    async saveAll(saves: readonly ActorSave<number>[]) {
      if (saves.some(({ document: { _id } }) => _id === 'unwritable')) throw new Error('no room');
      return saves.map(() => 'saved' as const);
    },
  };
  const groupCommit = new GroupCommit<number>(collection, async () => {});
  const saving = ['a', 'b', 'unwritable', 'c', 'd'].map((_id) =>
    groupCommit
      .commit({ document: document(1, _id), replaces: 0, sideWrites: [] }, 'now')
      .catch((error: Error) => error.message),
  );
  expect(await Promise.all(saving)).toEqual(['saved', 'saved', 'no room', 'saved', 'saved']);
});
