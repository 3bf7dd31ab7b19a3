// How often WeCom's APIs were called, by all processes together: one small document per corp and API.
import { type Connection, Schema } from 'mongoose';
import { isDuplicateKey, storing } from '../store-errors.ts';

interface CallQuotaDocument<S> {
  _id: string;
  version: number;
  state: S;
}

const schema = new Schema({ _id: String, version: Number, state: Schema.Types.Mixed }, { versionKey: false });

export function callQuotas(connection: Connection) {
  const model = connection.model<CallQuotaDocument<unknown>>('call_quotas', schema as never, 'call_quotas');

  /** @returns false if somebody else has saved in between */
  const save = async (_id: string, before: number, state: unknown): Promise<boolean> => {
    try {
      const version = before + 1;
      await storing(() => model.updateOne({ _id, version: before }, { $set: { version, state } }, { upsert: true }));
      return true;
    } catch (error) {
      if (isDuplicateKey(error)) return false;
      throw error;
    }
  };

  return {
    /** The quotas of one corp; the caller knows the shape of its state. */
    of: <S>(corpId: string) => ({
      /** Replaces an API's state by what `change` makes of it; repeated until nobody has come in between. */
      async update<R>(api: string, change: (state: S | null) => { state: S; result: R }): Promise<R> {
        const _id = `${corpId}:${api}`;
        for (;;) {
          const found = await storing(() => model.findById(_id).lean<CallQuotaDocument<S>>().exec());
          const { state, result } = change(found?.state ?? null);
          if (await save(_id, found?.version ?? 0, state)) return result;
        }
      },
    }),
    ensureIndexes: () => model.createIndexes(),
  };
}
