// All collections behind one object.
import { type Logger, RetryableError, sleep } from '@pipeline/runtime';
import { accessTokens } from './collections/access-tokens.ts';
import { actorCollection } from './collections/actors.ts';
import { bindingCodes } from './collections/binding-codes.ts';
import { bindings } from './collections/bindings.ts';
import { callQuotas } from './collections/call-quotas.ts';
import { codeGuesses } from './collections/code-guesses.ts';
import { deadLetters } from './collections/dead-letters.ts';
import { deliveries } from './collections/deliveries.ts';
import { instances } from './collections/instances.ts';
import { leases } from './collections/leases.ts';
import { oldAnswers } from './collections/old-answers.ts';
import { poisonCounts } from './collections/poison-counts.ts';
import { processedIds } from './collections/processed-ids.ts';
import { replicas } from './collections/replicas.ts';
import { syncCursors } from './collections/sync-cursors.ts';
import { waitingTexts } from './collections/waiting-texts.ts';
import { connectStore } from './connection.ts';
import { applySideWrites, type SideWrite } from './side-writes.ts';
import { storing } from './store-errors.ts';
import { transactions } from './transactions.ts';

const RETRY_MS = 300;

export type Store = Awaited<ReturnType<typeof openStore>>;

/** Connects (waiting as long as it takes) and makes every collection and index exist. */
export async function openStore(options: { uri: string; logger: Logger; signal?: AbortSignal }) {
  const connection = await connectStore(options);
  const database = connection.mongoose;
  const claims = leases(database);
  const collections = {
    accessTokens: accessTokens(database, claims, connection.now),
    bindingCodes: bindingCodes(database),
    bindings: bindings(database),
    callQuotas: callQuotas(database),
    codeGuesses: codeGuesses(database),
    deadLetters: deadLetters(database),
    deliveries: deliveries(database),
    instances: instances(database),
    leases: claims,
    oldAnswers: oldAnswers(database),
    poisonCounts: poisonCounts(database),
    processedIds: processedIds(database),
    replicas: replicas(database),
    syncCursors: syncCursors(database),
    waitingTexts: waitingTexts(database),
  };
  const transacting = transactions(database, connection.now);
  const conversations = actorCollection<never>(database, 'conversations');
  const ledgers = actorCollection<never>(database, 'ledgers');
  const indexed = [...Object.values(collections), transacting, conversations, ledgers];
  const ensureIndexes = () => storing(() => Promise.all(indexed.map((collection) => collection.ensureIndexes())));
  try {
    // A database that goes away again in this moment is waited for like one that isn't there yet.
    while (await isAwayDuring(ensureIndexes, options.signal)) await connection.whenUp(options.signal);
  } catch (error) {
    await connection.close();
    throw error;
  }
  return {
    ...collections,
    /** The actors' documents; the caller knows the shape of its own state. */
    actors: <S>(name: 'conversations' | 'ledgers') => actorCollection<S>(database, name),
    applySideWrites: (writes: readonly SideWrite[]) => applySideWrites(database, writes),
    transaction: transacting.run,
    now: connection.now,
    problem: connection.problem,
    whenUp: connection.whenUp,
    close: connection.close,
  };
}

/** Tries once. @returns whether the database went away meanwhile */
async function isAwayDuring(work: () => Promise<unknown>, signal?: AbortSignal): Promise<boolean> {
  try {
    await work();
    return false;
  } catch (error) {
    if (!(error instanceof RetryableError) || signal?.aborted) throw error;
    await sleep(RETRY_MS, signal);
    return true;
  }
}
