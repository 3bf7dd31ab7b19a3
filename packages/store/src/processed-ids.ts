// Ids of events that an actor has applied and no longer remembers itself, for 7 days (WeCom replays 3).
import { type Connection, Schema } from 'mongoose';
import { expiresInDays, type SideWrite } from './side-writes.ts';
import { storing } from './store-errors.ts';

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
  return {
    /** Which of the keys are known. @throws RetryableError `store-away` */
    async known(keys: readonly string[]): Promise<Set<string>> {
      const found = await storing(() => model.find({ _id: { $in: [...keys] } }, { _id: 1 }).lean());
      return new Set(found.map((document) => String(document._id)));
    },
    ensureIndexes: () => model.createIndexes(),
  };
}
