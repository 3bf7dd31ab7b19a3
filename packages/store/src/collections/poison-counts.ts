// How often an event has thrown: counted here because a crash forgets and the broker counts neighbours too.
import { type Connection, Schema } from 'mongoose';
import { expiresInDays } from '../side-writes.ts';
import { storing } from '../store-errors.ts';

const RETENTION_DAYS = 7;

interface PoisonCount {
  /** `service:eventId` */
  _id: string;
  attempts: number;
  expiresAt: Date;
}

const schema = new Schema({ _id: String, attempts: Number, expiresAt: Date }, { versionKey: false });
schema.index({ expiresAt: 1 }, { expireAfterSeconds: 0 });

export function poisonCounts(connection: Connection) {
  const model = connection.model<PoisonCount>('poison_counts', schema as never, 'poison_counts');
  return {
    /** Counts one more failed attempt. @returns attempts so far, this one included */
    async raise(service: string, eventId: string): Promise<number> {
      const found = await storing(() =>
        model
          .findByIdAndUpdate(
            `${service}:${eventId}`,
            { $inc: { attempts: 1 }, $set: { expiresAt: expiresInDays(RETENTION_DAYS) } },
            { upsert: true, returnDocument: 'after' },
          )
          .lean<PoisonCount>()
          .orFail(),
      );
      return found.attempts;
    },
    /** @returns 0 if there is no count */
    async attempts(service: string, eventId: string): Promise<number> {
      const found = await storing(() => model.findById(`${service}:${eventId}`).lean<PoisonCount>().exec());
      return found?.attempts ?? 0;
    },
    clear: (service: string, eventId: string) => storing(() => model.deleteOne({ _id: `${service}:${eventId}` })),
    ensureIndexes: () => model.createIndexes(),
  };
}
