// Documents beside the actors' own (deliveries, processed ids), written in bulk before the actors are saved.
import type { Connection } from 'mongoose';
import { isDuplicateKey, isStoreAway, storing } from './store-errors.ts';

export type SideCollection = 'deliveries' | 'processed_ids';

/** One write, idempotent: it may be repeated after a crash. Made by the named operations of its collection's file. */
export type SideWrite = NewWrite | (Write & { isNew?: false; update: Record<string, unknown> });

interface Write {
  collection: SideCollection;
  filter: { _id: string };
  upsert: boolean;
}

/** As a rule there is no such document yet: an insert is cheaper than an upsert. */
type NewWrite = Write & { isNew: true; update: { $set: Record<string, unknown> } };

/** Writes all, in few round trips, those of one document in the order given. @throws RetryableError `store-away` */
export async function applySideWrites(connection: Connection, writes: readonly SideWrite[]): Promise<void> {
  const byCollection = Map.groupBy(writes, (write) => write.collection);
  await storing(() => Promise.all([...byCollection].map(([name, group]) => applyTo(connection, name, group))));
}

async function applyTo(connection: Connection, name: SideCollection, writes: readonly SideWrite[]): Promise<void> {
  const isEachOnce = new Set(writes.map(({ filter }) => filter._id)).size === writes.length;
  const isInsert = (write: SideWrite): write is NewWrite => write.isNew === true && isEachOnce;
  const inserts = writes.filter(isInsert);
  const updates = writes.filter((write) => !isInsert(write));
  const [known] = await Promise.all([
    insert(connection, name, inserts),
    update(connection, name, updates, !isEachOnce),
  ]);
  await update(connection, name, known, false);
}

/** @returns those whose document exists */
async function insert(connection: Connection, name: SideCollection, writes: NewWrite[]): Promise<SideWrite[]> {
  if (writes.length === 0) return [];
  const operations = writes.map(({ filter, update }) => ({ insertOne: { document: { ...filter, ...update.$set } } }));
  try {
    await connection.collection(name).bulkWrite(operations as never, { ordered: false });
    return [];
  } catch (error) {
    const { writeErrors = [] } = error as { writeErrors?: { index: number }[] };
    if (isStoreAway(error) || writeErrors.length === 0 || !writeErrors.every(isDuplicateKey)) throw error;
    return writeErrors.flatMap(({ index }) => writes[index] ?? []);
  }
}

async function update(connection: Connection, name: SideCollection, writes: SideWrite[], ordered: boolean) {
  if (writes.length === 0) return;
  const operations = writes.map(({ filter, update, upsert }) => ({ updateOne: { filter, update, upsert } }));
  await connection.collection(name).bulkWrite(operations as never, { ordered });
}

/** The moment `days` from now, for TTL indexes. */
export const expiresInDays = (days: number): Date => new Date(Date.now() + days * 86_400_000);
