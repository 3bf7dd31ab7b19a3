// One document per user and service: what an actor remembers. `conversations` for the router, `ledgers` for the sender.
import { type Connection, mongo, Schema } from 'mongoose';
import { groupedFind } from '../grouped.ts';
import { isDuplicateKey, storing } from '../store-errors.ts';

/** A message to be published after the save, kept in the document until the broker has confirmed it. */
export interface StoredEffect {
  id: string;
  [field: string]: unknown;
}

export interface ActorDocument<S> {
  /** The user's key. */
  _id: string;
  /** Raised with every save; a save counts only if nobody saved in between. */
  version: number;
  state: S;
  effects: StoredEffect[];
  /** Ids of the last events applied, newest last; older ones are in `processed_ids`. */
  recentIds: string[];
  /** The time of the newest event applied, by type, in that type's own unit. */
  newest: Record<string, number>;
  /** The same, when ids last moved to `processed_ids`: none of a newer event is there. */
  newestMoved: Record<string, number>;
  /** The earliest due time, epoch ms; null when nothing is due. */
  wakeAt: number | null;
  /** The replica whose process makes the call that the state has open. */
  caller?: string | undefined;
  /** When the sweep last claimed this document, epoch ms. Neither state nor version. */
  wokenAt?: number;
}

export type SaveOutcome = 'saved' | 'stale';

export interface ActorSave<S> {
  document: ActorDocument<S>;
  /** The version that must be stored, or the save is stale; 0: no document. Older than `document.version`. */
  replaces: number;
}

export interface ActorCollection<S> {
  /** @throws RetryableError `store-away` */
  load(userKey: string): Promise<ActorDocument<S> | null>;
  /**
   * Saves each document if the stored version is still the one that it replaces, all in one round trip.
   * @throws RetryableError `store-away` when outcomes are unknown; any other error as the driver gave it, also if all
   * together are larger than a command may be (16 MB)
   */
  saveAll(saves: readonly ActorSave<S>[]): Promise<SaveOutcome[]>;
  /** The stored version, 0 if there is no document. */
  versionOf(userKey: string): Promise<number>;
  /**
   * Claims documents that are overdue by `graceMs`, each at most once in `pauseMs`.
   * @returns the claimed users' keys
   */
  claimOverdue(now: number, graceMs: number, pauseMs: number, limit: number): Promise<string[]>;
  /** Puts the due time off, if there is one; the state isn't touched. */
  putOff(userKey: string, until: number): Promise<void>;
  ensureIndexes(): Promise<void>;
}

const schema = new Schema(
  {
    _id: String,
    version: Number,
    state: Schema.Types.Mixed,
    effects: [Schema.Types.Mixed],
    recentIds: String,
    newest: Schema.Types.Mixed,
    newestMoved: Schema.Types.Mixed,
    wakeAt: Number,
    caller: String,
    wokenAt: Number,
  },
  { versionKey: false, minimize: false },
);
schema.index({ wakeAt: 1 }, { partialFilterExpression: { wakeAt: { $type: 'number' } } });

export function actorCollection<S>(connection: Connection, name: 'conversations' | 'ledgers'): ActorCollection<S> {
  const model = connection.model(name, schema, name);
  // The driver's collection: mongoose would cast every document of every batch, which costs more than the write.
  const collection = model.collection as unknown as mongo.Collection<ActorDocument<S>>;
  const find = groupedFind<Omit<ActorDocument<S>, 'recentIds'> & { recentIds: string | string[] }>(collection);

  return {
    async load(userKey) {
      const found = await find(userKey);
      if (found === null) return null;
      // Earlier they stood as an array.
      const { recentIds: ids } = found;
      return { ...found, recentIds: typeof ids === 'string' ? JSON.parse(ids) : ids };
    },

    async saveAll(saves) {
      // The command itself: the driver's bulk API takes a third more CPU for the same. A command has none of the
      // connection's options.
      const db = connection.db as mongo.Db;
      const command: mongo.Document = {
        update: name,
        updates: saves.map(({ document, replaces }) => ({
          // A miss becomes an insert that collides with the newer document (E11000): that is how staleness shows.
          q: { _id: document._id, version: replaces },
          // In BSON one string costs half of what an array of so many does.
          u: { ...document, recentIds: JSON.stringify(document.recentIds) },
          upsert: true,
        })),
        ordered: false,
      };
      // Its own spelling: the server refuses the driver's object if the URI named `journal` or `wtimeoutMS`.
      if (db.writeConcern) mongo.WriteConcern.apply(command, db.writeConcern);
      const { writeErrors = [] } = await storing(async () => {
        const reply = await db.command(command, { ignoreUndefined: true });
        const fault = reply.writeErrors?.find((error: unknown) => !isDuplicateKey(error));
        if (fault) throw new mongo.MongoServerError(fault);
        return reply;
      });
      const outcomes: SaveOutcome[] = saves.map(() => 'saved');
      for (const { index } of writeErrors) outcomes[index] = 'stale';
      return outcomes;
    },

    async versionOf(userKey) {
      const found = await storing(() => collection.findOne({ _id: userKey } as object, { projection: { version: 1 } }));
      return found?.version ?? 0;
    },

    async claimOverdue(now, graceMs, pauseMs, limit) {
      // With the type named, or the partial index isn't used and each sweep reads the whole collection.
      const isOverdue = { wakeAt: { $lt: now - graceMs, $type: 'number' } };
      const isUnclaimed = { $or: [{ wokenAt: { $exists: false } }, { wokenAt: { $lt: now - pauseMs } }] };
      return storing(async () => {
        const overdue = await collection
          .find({ ...isOverdue, ...isUnclaimed } as object, { projection: { _id: 1 }, sort: { wakeAt: 1 }, limit })
          .toArray();
        const claims = await Promise.all(
          overdue.map(({ _id }) =>
            collection.updateOne({ _id, ...isOverdue, ...isUnclaimed } as object, { $set: { wokenAt: now } } as object),
          ),
        );
        return overdue.filter((_, index) => claims[index]?.modifiedCount === 1).map(({ _id }) => _id as string);
      });
    },

    async putOff(userKey, until) {
      const filter = { _id: userKey, wakeAt: { $type: 'number' } };
      await storing(() => collection.updateOne(filter as object, { $max: { wakeAt: until } } as object));
    },

    ensureIndexes: () => model.createIndexes() as unknown as Promise<void>,
  };
}
