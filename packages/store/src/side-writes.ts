// Documents beside the actors' own (tasks, deliveries, processed ids), written in bulk before the actors are saved.
import type { Connection } from 'mongoose';
import { storing } from './store-errors.ts';

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
}

/** Writes all, one round trip per collection, those of one collection in the order given. @throws RetryableError `store-away` */
export async function applySideWrites(connection: Connection, writes: readonly SideWrite[]): Promise<void> {
  const byCollection = Map.groupBy(writes, (write) => write.collection);
  await storing(() =>
    Promise.all(
      [...byCollection].map(([name, group]) =>
        connection.collection(name).bulkWrite(
          group.map(({ filter, update, upsert }) => ({ updateOne: { filter, update, upsert } })) as never,
          // Two writes of one document (task started and ended in one batch) must keep their order.
          { ordered: new Set(group.map((write) => write.filter._id)).size < group.length },
        ),
      ),
    ),
  );
}

/** The moment `days` from now, for TTL indexes. */
export const expiresInDays = (days: number): Date => new Date(Date.now() + days * 86_400_000);
