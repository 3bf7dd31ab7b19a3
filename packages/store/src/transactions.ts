// Transactions that don't outlive their process. MongoDB keeps the transaction of a process that was killed open, and
// what it had touched locked, for up to a minute: whoever is blocked by one ends it.
import { RetryableError } from '@pipeline/runtime';
import { type ClientSession, type Connection, type mongo, Schema } from 'mongoose';
import { storingTransaction } from './store-errors.ts';

/** A transaction that loses against others for longer is given up; the driver alone would go on for two minutes. */
const DEADLINE_MS = 10_000;
/** Ours take milliseconds: one that has been open this long belongs to nobody who still lives, or to somebody frozen. */
const ORPHANED_AFTER_MS = 1_000;
const KEPT_FOR_S = 3_600;

interface OpenTransaction {
  /** The session's id, hex. */
  _id: string;
  lsid: mongo.Binary;
  /** Epoch ms, database clock. */
  beganAt: number;
  createdAt: Date;
}

const schema = new Schema(
  { _id: String, lsid: Schema.Types.Buffer, beganAt: Number, createdAt: Date },
  { versionKey: false },
);
schema.index({ createdAt: 1 }, { expireAfterSeconds: KEPT_FOR_S });

export function transactions(database: Connection, now: () => number) {
  const model = database.model<OpenTransaction>('open_transactions', schema as never, 'open_transactions');
  const collection = model.collection as unknown as mongo.Collection<OpenTransaction>;

  const register = async (session: ClientSession): Promise<string> => {
    const lsid = session.id?.id as mongo.Binary;
    const id = lsid.toString('hex');
    await collection.updateOne(
      { _id: id },
      { $set: { lsid, beganAt: now(), createdAt: new Date() } },
      { upsert: true },
    );
    return id;
  };

  const endOrphans = async (own: string): Promise<void> => {
    const orphans = await collection.find({ _id: { $ne: own }, beganAt: { $lt: now() - ORPHANED_AFTER_MS } }).toArray();
    if (orphans.length === 0) return;
    await database.db?.command({ killSessions: orphans.map(({ lsid }) => ({ id: lsid })) });
    await collection.deleteMany({ _id: { $in: orphans.map(({ _id }) => _id) } });
  };

  return {
    /**
     * Runs a function in one transaction, again from the start when it conflicts with another one.
     * @throws RetryableError `store-away`
     */
    async run<T>(body: (session: ClientSession) => Promise<T>): Promise<T> {
      const startedAt = performance.now();
      let registered: string | undefined;
      const attempt = async (session: ClientSession) => {
        const tookMs = performance.now() - startedAt;
        if (tookMs > DEADLINE_MS)
          throw new RetryableError('store-away', 'a transaction found no moment without conflicts');
        registered = await register(session);
        if (tookMs > ORPHANED_AFTER_MS) await endOrphans(registered);
        return body(session);
      };
      try {
        return await storingTransaction(
          () => database.transaction(attempt, { writeConcern: { w: 'majority' } }) as unknown as Promise<T>,
        );
      } finally {
        // Left behind it does no harm: the session it names has ended its transaction.
        if (registered !== undefined) await collection.deleteOne({ _id: registered }).catch(() => {});
      }
    },
    ensureIndexes: () => model.createIndexes(),
  };
}
