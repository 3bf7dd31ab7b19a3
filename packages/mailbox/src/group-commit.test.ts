// What is written before an actor's document, and what becomes of the others if one can't be written.
import { expect, test } from '@jest/globals';
import type { ActorCollection, ActorDocument, SideWrite } from '@pipeline/store';
import { createGroupCommit } from './group-commit.ts';

const document = { _id: 'u', version: 1, state: 0 } as unknown as ActorDocument<number>;
const sideOf = (_id: string): SideWrite => ({
  collection: 'deliveries',
  filter: { _id },
  update: {},
  upsert: true,
});

/** A database that notes what is begun, and ends each write when told to. */
function slowDatabase() {
  const begun: string[] = [];
  const ends = new Map<string, (error?: Error) => void>();
  const begin = (name: string) => {
    begun.push(name);
    return new Promise<void>((resolve, reject) => ends.set(name, (error) => (error ? reject(error) : resolve())));
  };
  const collection = {
    saveAll: async (documents: unknown[]) => {
      await begin('document');
      return documents.map(() => 'saved' as const);
    },
  } as unknown as ActorCollection<number>;
  const commit = createGroupCommit(collection, (sides) => begin(sides.map(({ filter }) => filter._id).join()));
  const settleDown = async () => {
    for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
  };
  const end = async (name: string, error?: Error) => {
    ends.get(name)?.(error);
    await settleDown();
  };
  return { begun, commit, end, settleDown };
}

test('a document waits for what must be there before it', async () => {
  const { begun, commit, end, settleDown } = slowDatabase();
  let outcome: unknown = 'open';
  void commit.save(document, [sideOf('before')]).then((is) => {
    outcome = is;
  });
  await settleDown();
  expect(begun).toEqual(['before']);
  await end('before');
  expect(begun).toEqual(['before', 'document']);
  await end('document');
  expect(outcome).toBe('saved');
});

test('a document that can not be written fails alone', async () => {
  const collection = {
    saveAll: async (documents: ActorDocument<number>[]) => {
      if (documents.some(({ _id }) => _id === 'unwritable')) throw new Error('no room');
      return documents.map(() => 'saved' as const);
    },
  } as unknown as ActorCollection<number>;
  const commit = createGroupCommit(collection, async () => {});
  const saving = ['a', 'b', 'unwritable', 'c', 'd'].map((_id) =>
    commit.save({ ...document, _id }, []).catch((error) => error.message),
  );
  expect(await Promise.all(saving)).toEqual(['saved', 'saved', 'no room', 'saved', 'saved']);
});
