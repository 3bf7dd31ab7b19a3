// Which replicas of a service are alive, and since when each of them is subscribed to what.
import { type Connection, Schema } from 'mongoose';
import { storing } from './store-errors.ts';

/** Long after anybody takes it for alive: this only clears the collection. */
const RETENTION_S = 60;

export interface Replica {
  name: string;
  /** By partition: epoch ms when this replica's channel was opened. It tells one subscription from the next. */
  subscribed: Record<string, number>;
  /** It is stopping: no partition is its any more, but its open calls still are. */
  isLeaving?: boolean;
}

const schema = new Schema(
  { _id: String, service: String, name: String, beatAt: Date, subscribed: Object, isLeaving: Boolean },
  { versionKey: false },
);
schema.index({ beatAt: 1 }, { expireAfterSeconds: RETENTION_S });

export function replicas(connection: Connection) {
  const model = connection.model('replicas', schema, 'replicas');
  const idOf = (service: string, name: string) => `${service}:${name}`;
  return {
    /** Says that a replica is alive. @param now epoch ms, database clock */
    beat: (service: string, { name, subscribed, isLeaving = false }: Replica, now: number) =>
      storing(() =>
        model.updateOne(
          { _id: idOf(service, name) },
          { $set: { service, name, subscribed, isLeaving, beatAt: new Date(now) } },
          { upsert: true },
        ),
      ),
    /** Those whose last beat was later than `since`, by name. */
    alive: (service: string, since: number): Promise<Replica[]> =>
      storing(() =>
        model
          .find({ service, beatAt: { $gt: new Date(since) } }, { _id: 0, name: 1, subscribed: 1, isLeaving: 1 })
          .sort({ name: 1 })
          .lean<Replica[]>()
          .exec(),
      ),
    leave: (service: string, name: string) => storing(() => model.deleteOne({ _id: idOf(service, name) })),
    ensureIndexes: () => model.createIndexes(),
  };
}
