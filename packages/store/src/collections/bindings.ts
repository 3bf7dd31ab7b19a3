// Which instance answers which WeChat user: 1:1. Written by the binder, read by the router at each turn.
import { type ClientSession, type Connection, Schema } from 'mongoose';
import { groupedFind } from '../grouped.ts';
import { storing } from '../store-errors.ts';
import type { Instance } from './instances.ts';

export interface Binding {
  /** The user's key: one binding per user at a KF account. */
  _id: string;
  /** Unique: one user per instance. */
  instanceId: string;
  externalUserId: string;
  /** Epoch ms. */
  boundAt: number;
}

const schema = new Schema(
  { _id: String, instanceId: String, externalUserId: String, boundAt: Number },
  { versionKey: false },
);
schema.index({ instanceId: 1 }, { unique: true });

export function bindings(connection: Connection) {
  const model = connection.model<Binding>('bindings', schema as never, 'bindings');
  const join = { from: 'instances', localField: 'instanceId', foreignField: '_id', as: 'found' };
  const findJoined = groupedFind<Binding & { found: Instance[] }>({
    find: (filter) => model.collection.aggregate([{ $match: filter }, { $lookup: join }]),
  });
  return {
    /**
     * A user's binding with the instance as it is now, null if that is gone. In one round trip: each turn waits for it.
     * @throws RetryableError `store-away`
     */
    async findByUser(userKey: string): Promise<(Binding & { instance: Instance | null }) | null> {
      const joined = await findJoined(userKey);
      if (!joined) return null;
      const {
        found: [instance = null],
        ...binding
      } = joined;
      return { ...binding, instance };
    },
    findByInstance: (instanceId: string): Promise<Binding | null> =>
      storing(() => model.findOne({ instanceId }).lean<Binding>().exec()),
    /** Binds 1:1 inside a transaction: each side's earlier binding is replaced. */
    async replace(binding: Binding, session: ClientSession): Promise<void> {
      await storing(async () => {
        await model.deleteMany({ instanceId: binding.instanceId, _id: { $ne: binding._id } }, { session });
        await model.replaceOne({ _id: binding._id }, binding, { upsert: true, session });
      });
    },
    removeByInstance: (instanceId: string, session?: ClientSession) =>
      storing(() => model.deleteMany({ instanceId }, session ? { session } : {})),
    ensureIndexes: () => model.createIndexes(),
  };
}
