// Ids of events that an actor has applied and no longer remembers itself, for 7 days (WeCom replays 3).
import { type Connection, Schema } from 'mongoose';
import { groupedFind } from './grouped.ts';
import { expiresInDays, type SideWrite } from './side-writes.ts';

const RETENTION_DAYS = 7;

const schema = new Schema({ _id: String, expiresAt: Date }, { versionKey: false });
schema.index({ expiresAt: 1 }, { expireAfterSeconds: 0 });

/** `service:userKey:eventId` */
export const processedIdKey = (service: string, userKey: string, eventId: string) => `${service}:${userKey}:${eventId}`;

export const processedIdWrite = (key: string): SideWrite => ({
  collection: 'processed_ids',
  filter: { _id: key },
  update: { $set: { expiresAt: expiresInDays(RETENTION_DAYS) } },
  upsert: true,
});

export function processedIds(connection: Connection) {
  const model = connection.model('processed_ids', schema, 'processed_ids');
  const find = groupedFind(model.collection, { _id: 1 });
  return {
    /** @throws RetryableError `store-away` */
    isKnown: async (key: string): Promise<boolean> => (await find(key)) !== null,
    ensureIndexes: () => model.createIndexes(),
  };
}
