// What could not be handled, kept with its reason until an operator replays or drops it.
import { type Connection, Schema } from 'mongoose';
import { storing } from './store-errors.ts';

export interface DeadLetter {
  /** `service:eventId`: one event is one dead letter, however often it dies. */
  _id: string;
  service: string;
  /** In words, without message text. */
  reason: string;
  /** Stable error code. */
  code: string;
  attempts: number;
  origin: { type: string; messageId: string; correlationId: string; userKey: string | null; exchange: string | null };
  /** The event as it came, for the replay. */
  body: unknown;
  firstAt: Date;
  lastAt: Date;
}

const schema = new Schema(
  {
    _id: String,
    service: String,
    reason: String,
    code: String,
    attempts: Number,
    origin: Schema.Types.Mixed,
    body: Schema.Types.Mixed,
    firstAt: Date,
    lastAt: Date,
  },
  { versionKey: false },
);
schema.index({ service: 1, lastAt: 1 });

export function deadLetters(connection: Connection) {
  const model = connection.model<DeadLetter>('dead_letters', schema as never, 'dead_letters');
  return {
    /** Keeps an event; a repeat raises the attempts and the last time. */
    async keep(letter: Omit<DeadLetter, '_id' | 'firstAt' | 'lastAt'>): Promise<void> {
      const now = new Date();
      const { attempts, ...fields } = letter;
      await storing(() =>
        model.updateOne(
          { _id: `${letter.service}:${letter.origin.messageId}` },
          { $set: { ...fields, lastAt: now }, $inc: { attempts }, $setOnInsert: { firstAt: now } },
          { upsert: true },
        ),
      );
    },
    list: (service: string | null, limit: number): Promise<DeadLetter[]> =>
      storing(() =>
        model
          .find(service === null ? {} : { service })
          .sort({ lastAt: 1 })
          .limit(limit)
          .lean<DeadLetter[]>(),
      ),
    ensureIndexes: () => model.createIndexes(),
  };
}
