// All collections behind one object.
import { type Logger, RetryableError } from '@pipeline/runtime';
import type { ClientSession } from 'mongoose';
import { actorCollection } from './actors.ts';
import { bindingCodes } from './binding-codes.ts';
import { bindings } from './bindings.ts';
import { codeGuesses } from './code-guesses.ts';
import { connectStore } from './connection.ts';
import { deadLetters } from './dead-letters.ts';
import { deliveries } from './deliveries.ts';
import { instances } from './instances.ts';
import { leases } from './leases.ts';
import { poisonCounts } from './poison-counts.ts';
import { processedIds } from './processed-ids.ts';
import { applySideWrites, type SideWrite } from './side-writes.ts';
import { storing, storingTransaction } from './store-errors.ts';
import { syncCursors } from './sync-cursors.ts';
import { tasks } from './tasks.ts';

/** A transaction that loses against others for longer is given up; the driver alone would go on for two minutes. */
const TRANSACTION_DEADLINE_MS = 10_000;

export type Store = Awaited<ReturnType<typeof openStore>>;

/** Connects (waiting as long as it takes) and makes every collection and index exist. */
export async function openStore(options: { uri: string; logger: Logger; signal?: AbortSignal }) {
  const connection = await connectStore(options);
  const database = connection.mongoose;
  const collections = {
    bindingCodes: bindingCodes(database),
    bindings: bindings(database),
    codeGuesses: codeGuesses(database),
    deadLetters: deadLetters(database),
    deliveries: deliveries(database),
    instances: instances(database),
    leases: leases(database),
    poisonCounts: poisonCounts(database),
    processedIds: processedIds(database),
    syncCursors: syncCursors(database),
    tasks: tasks(database),
  };
  const conversations = actorCollection<never>(database, 'conversations');
  const ledgers = actorCollection<never>(database, 'ledgers');
  const indexed = [...Object.values(collections), conversations, ledgers];
  try {
    await storing(() => Promise.all(indexed.map((collection) => collection.ensureIndexes())));
  } catch (error) {
    await connection.close();
    throw error;
  }
  return {
    ...collections,
    /** The actors' documents; the caller knows the shape of its own state. */
    actors: <S>(name: 'conversations' | 'ledgers') => actorCollection<S>(database, name),
    applySideWrites: (writes: readonly SideWrite[]) => applySideWrites(database, writes),
    /**
     * Runs a function in one transaction, again from the start when it conflicts with another one.
     * @throws RetryableError `store-away`
     */
    transaction<T>(run: (session: ClientSession) => Promise<T>): Promise<T> {
      const deadline = performance.now() + TRANSACTION_DEADLINE_MS;
      const attempt = (session: ClientSession) => {
        if (performance.now() > deadline)
          throw new RetryableError('store-away', 'a transaction found no moment without conflicts');
        return run(session);
      };
      return storingTransaction(
        () => database.transaction(attempt, { writeConcern: { w: 'majority' } }) as unknown as Promise<T>,
      );
    },
    now: connection.now,
    problem: connection.problem,
    whenUp: connection.whenUp,
    close: connection.close,
  };
}
