// Ids of events that an actor has applied and no longer remembers itself, for 7 days (WeCom replays 3).
import { type Connection, Schema } from 'mongoose';
import { expiresInDays, type SideWrite } from '../side-writes.ts';
import { storing } from '../store-errors.ts';

const RETENTION_DAYS = 7;

/** Many ids of one actor in a document: a document for each would be a quarter of all that a turn writes. */
const schema = new Schema({ _id: String, ids: [String], expiresAt: Date }, { versionKey: false });
schema.index({ expiresAt: 1 }, { expireAfterSeconds: 0 });

const actorPrefix = (service: string, userKey: string) => `${service}:${userKey}:`;

/** @param ids at least one. Joined to those already there: a replica whose save will be stale may write late, and fewer. */
export const processedIdsWrite = (service: string, userKey: string, ids: readonly string[]): SideWrite => ({
  collection: 'processed_ids',
  filter: { _id: `${actorPrefix(service, userKey)}${ids[0]}` },
  update: { $set: { expiresAt: expiresInDays(RETENTION_DAYS) }, $addToSet: { ids: { $each: ids } } },
  upsert: true,
});

export function processedIds(connection: Connection) {
  const model = connection.model('processed_ids', schema, 'processed_ids');
  return {
    /** @throws RetryableError `store-away` */
    async isKnown(service: string, userKey: string, id: string): Promise<boolean> {
      const prefix = actorPrefix(service, userKey);
      const filter = { _id: { $gt: prefix, $lt: `${prefix}\uffff` }, ids: id };
      return (await storing(() => model.exists(filter).exec())) !== null;
    },
    ensureIndexes: () => model.createIndexes(),
  };
}
