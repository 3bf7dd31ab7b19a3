// How far each KF account has been read. The cursor is ingest's outbox: it moves only once a page is on the broker.
import { type Connection, Schema } from 'mongoose';
import { storing } from '../store-errors.ts';

export interface SyncCursor {
  /** open_kfid */
  _id: string;
  /** WeCom's `next_cursor`; absent before the first page. */
  cursor?: string;
  /** Epoch ms of the first start for this account; what is much older isn't answered. */
  firstStartedAt: number;
}

const schema = new Schema({ _id: String, cursor: String, firstStartedAt: Number }, { versionKey: false });

export function syncCursors(connection: Connection) {
  const model = connection.model<SyncCursor>('sync_cursors', schema as never, 'sync_cursors');
  return {
    /** The account's cursor; the first call ever stores `firstStartedAt`. */
    open: (openKfId: string, now: number): Promise<SyncCursor> =>
      storing(() =>
        model
          .findByIdAndUpdate(
            openKfId,
            { $setOnInsert: { firstStartedAt: now } },
            { upsert: true, returnDocument: 'after' },
          )
          .lean<SyncCursor>()
          .orFail()
          .exec(),
      ),
    /** @returns false if another puller has moved the cursor since it was read */
    async advance(openKfId: string, from: string | null, to: string): Promise<boolean> {
      const result = await storing(() =>
        model.updateOne({ _id: openKfId, cursor: from === null ? { $exists: false } : from }, { $set: { cursor: to } }),
      );
      return result.matchedCount === 1;
    },
    ensureIndexes: () => model.createIndexes(),
  };
}
