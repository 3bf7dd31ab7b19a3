// Agent instances as the operator registered them. Written by the binder; the router reads them with their bindings.
import { type ClientSession, type Connection, Schema } from 'mongoose';
import { isDuplicateKey, storing } from '../store-errors.ts';

export interface InstanceFields {
  name: string;
  /** `running`, `stopped`, `starting`, `error` or any other word. */
  status: string;
  /** Host name or IP of the bridge; empty when none is known yet. */
  serverHost: string;
  hostPort: number;
}
export interface Instance extends InstanceFields {
  _id: string;
}

const schema = new Schema(
  { _id: String, name: String, status: String, serverHost: String, hostPort: Number, touchedAt: Date },
  { versionKey: false },
);

export function instances(connection: Connection) {
  const model = connection.model<Instance>('instances', schema as never, 'instances');
  return {
    /** @returns false if an instance with this id exists; a transaction must then be ended */
    async create(instance: Instance, session?: ClientSession): Promise<boolean> {
      try {
        await storing(() => model.create([instance], session ? { session } : {}));
        return true;
      } catch (error) {
        if (isDuplicateKey(error)) return false;
        throw error;
      }
    },
    find: (id: string): Promise<Instance | null> => storing(() => model.findById(id).lean<Instance>().exec()),
    /** A page in the order of ids, beginning behind `after`. */
    list: (after: string | null, limit: number): Promise<Instance[]> =>
      storing(() =>
        model
          .find(after === null ? {} : { _id: { $gt: after } })
          .sort({ _id: 1 })
          .limit(limit)
          .lean<Instance[]>(),
      ),
    update: (id: string, fields: Partial<InstanceFields>): Promise<Instance | null> =>
      storing(() => model.findByIdAndUpdate(id, { $set: fields }, { returnDocument: 'after' }).lean<Instance>().exec()),
    /**
     * Reads an instance inside a transaction and marks it, so that a delete at the same time conflicts with that
     * transaction instead of slipping between.
     */
    touch: (id: string, session: ClientSession): Promise<Instance | null> =>
      storing(() =>
        model
          .findByIdAndUpdate(id, { $set: { touchedAt: new Date() } }, { session })
          .lean<Instance>()
          .exec(),
      ),
    async remove(id: string, session: ClientSession): Promise<boolean> {
      const result = await storing(() => model.deleteOne({ _id: id }, { session }));
      return result.deletedCount === 1;
    },
    ensureIndexes: () => model.createIndexes(),
  };
}
