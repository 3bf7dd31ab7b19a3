// Which replicas of a service are alive, and since when each of them is subscribed to what.
import { type Connection, Schema } from 'mongoose';
import { storing } from '../store-errors.ts';

/** Who ended without a goodbye is remembered for so long: longer than an orchestrator waits before it starts one anew. */
const RETENTION_S = 600;

export interface Replica {
  name: string;
  /** By partition: epoch ms when this replica's channel was opened. It tells one subscription from the next. */
  subscribed: Record<string, number>;
  /** It is stopping: no partition is its any more, but its open calls still are. */
  isLeaving?: boolean;
}

export interface SeenReplica extends Replica {
  /** Its last beat, epoch ms, database clock. */
  beatAt: number;
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
    /** All that have beaten lately and have not left, by name. */
    async seen(service: string): Promise<SeenReplica[]> {
      const found = await storing(() =>
        model.find({ service }, { _id: 0, service: 0 }).sort({ name: 1 }).lean().exec(),
      );
      return (found as unknown as (Replica & { beatAt: Date })[]).map((one) => ({ ...one, beatAt: +one.beatAt }));
    },
    /** A goodbye: whoever ends without one is taken for dead. */
    leave: (service: string, name: string) => storing(() => model.deleteOne({ _id: idOf(service, name) })),
    // An earlier version kept them for another time.
    ensureIndexes: () => model.syncIndexes(),
  };
}
