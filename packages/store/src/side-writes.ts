// Documents beside the actors' own (tasks, deliveries, processed ids), written in bulk before the actors are saved.
import type { Connection } from 'mongoose';
import { storing } from './store-errors.ts';
import { runWriteCommand } from './write-command.ts';

export type SideCollection = 'tasks' | 'deliveries' | 'processed_ids';

/** One write, idempotent: it may be repeated after a crash. Made by the named operations of its collection's file. */
export interface SideWrite {
  collection: SideCollection;
  filter: { _id: string };
  update: Record<string, unknown>;
  upsert: boolean;
  /**
   * Written at the same time as the actor's document instead of before it: only if the actor asks for it again when it
   * finds what needs it unfinished after a crash.
   */
  isBeside?: boolean;
  /** Small, nothing but `$set`, and as a rule there is no such document yet: an insert is cheaper than an upsert. */
  isNew?: boolean;
}

/** Writes all, in few round trips, those of one document in the order given. @throws RetryableError `store-away` */
export async function applySideWrites(connection: Connection, writes: readonly SideWrite[]): Promise<void> {
  const byCollection = Map.groupBy(writes, (write) => write.collection);
  await Promise.all([...byCollection].map(([name, group]) => applyTo(connection, name, group)));
}

async function applyTo(connection: Connection, name: SideCollection, writes: readonly SideWrite[]): Promise<void> {
  const isEachOnce = new Set(writes.map(({ filter }) => filter._id)).size === writes.length;
  const isInsert = (write: SideWrite) => write.isNew === true && isEachOnce;
  const inserts = writes.filter(isInsert);
  const updates = writes.filter((write) => !isInsert(write));
  const [known] = await Promise.all([
    insert(connection, name, inserts),
    update(connection, name, updates, !isEachOnce),
  ]);
  await update(connection, name, known, false);
}

/** @returns those whose document exists */
async function insert(connection: Connection, name: SideCollection, writes: SideWrite[]): Promise<SideWrite[]> {
  if (writes.length === 0) return [];
  const documents = writes.map(({ filter, update: { $set } }) => ({ ...filter, ...($set as object) }));
  const { collided } = await runWriteCommand(connection, { insert: name, documents });
  return writes.filter((_, index) => collided.includes(index));
}

async function update(connection: Connection, name: SideCollection, writes: SideWrite[], ordered: boolean) {
  if (writes.length === 0) return;
  const operations = writes.map(({ filter, update, upsert }) => ({ updateOne: { filter, update, upsert } }));
  await storing(() => connection.collection(name).bulkWrite(operations as never, { ordered }));
}

/** The moment `days` from now, for TTL indexes. */
export const expiresInDays = (days: number): Date => new Date(Date.now() + days * 86_400_000);
