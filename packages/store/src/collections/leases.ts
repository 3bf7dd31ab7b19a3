// Who may do a thing that one process at a time does.
import { type Connection, Schema } from 'mongoose';
import { isDuplicateKey, storing } from '../store-errors.ts';

interface Lease {
  _id: string;
  owner: string;
  /** Epoch ms, database clock. */
  expiresAt: number;
}

const schema = new Schema({ _id: String, owner: String, expiresAt: Number }, { versionKey: false });

export function leases(connection: Connection) {
  const model = connection.model<Lease>('leases', schema as never, 'leases');
  return {
    /** Takes or renews a lease. @returns false while somebody else holds it */
    async acquire(name: string, owner: string, now: number, durationMs: number): Promise<boolean> {
      try {
        await storing(() =>
          model.updateOne(
            { _id: name, $or: [{ owner }, { expiresAt: { $lte: now } }] },
            { $set: { owner, expiresAt: now + durationMs } },
            { upsert: true },
          ),
        );
        return true;
      } catch (error) {
        if (isDuplicateKey(error)) return false;
        throw error;
      }
    },
    /** Gives a lease back early, if it is still held. */
    release: (name: string, owner: string) => storing(() => model.deleteOne({ _id: name, owner })),
    ensureIndexes: () => model.createIndexes(),
  };
}
