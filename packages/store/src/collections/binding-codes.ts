// Binding codes and what became of them. Written by the binder; ingest claims a code for the item that named it.
import { type ClientSession, type Connection, Schema } from 'mongoose';
import { originalId } from '../replay-ids.ts';
import { isDuplicateKey, storing } from '../store-errors.ts';

/** How long an expired code is still recognised as such. */
export const EXPIRED_CODE_MEMORY_MS = 24 * 3_600_000;
const CLAIMED_CODE_MEMORY_MS = 7 * 86_400_000;

export type BindingOutcome = 'bound' | 'instanceMissing' | 'bindFailed';

export interface BindingCode {
  /** Six upper-case hex digits. */
  _id: string;
  instanceId: string;
  /** `live` also after its time ran out; `outrun` when a newer one was made after that; `voided` by a newer one before. */
  state: 'live' | 'outrun' | 'voided' | 'claimed';
  /** Epoch ms. */
  expiresAt: number;
  claimedByUser?: string;
  claimedByMsgId?: string;
  outcome?: BindingOutcome;
  instanceName?: string;
  /** When the document may go. */
  forgetAt: Date;
}

const schema = new Schema(
  {
    _id: String,
    instanceId: String,
    state: String,
    expiresAt: Number,
    claimedByUser: String,
    claimedByMsgId: String,
    outcome: String,
    instanceName: String,
    forgetAt: Date,
  },
  { versionKey: false },
);
schema.index({ instanceId: 1 }, { unique: true, partialFilterExpression: { state: 'live' } });
schema.index({ claimedByUser: 1, claimedByMsgId: 1 }, { unique: true, partialFilterExpression: { state: 'claimed' } });
schema.index({ forgetAt: 1 }, { expireAfterSeconds: 0 });

export function bindingCodes(connection: Connection) {
  const model = connection.model<BindingCode>('binding_codes', schema as never, 'binding_codes');

  const retireLive = async (instanceId: string, now: number, session?: ClientSession) => {
    const options = session ? { session } : {};
    await model.updateMany(
      { instanceId, state: 'live', expiresAt: { $lte: now } },
      { $set: { state: 'outrun' } },
      options,
    );
    await model.updateMany({ instanceId, state: 'live' }, { $set: { state: 'voided' } }, options);
  };

  return {
    /**
     * Makes a code the instance's only live one, inside a transaction.
     * @returns false if the code is taken (the caller draws another one; the transaction must be ended)
     */
    async create(
      code: string,
      instanceId: string,
      now: number,
      ttlMs: number,
      session: ClientSession,
    ): Promise<boolean> {
      const document: BindingCode = {
        _id: code,
        instanceId,
        state: 'live',
        expiresAt: now + ttlMs,
        forgetAt: new Date(now + ttlMs + EXPIRED_CODE_MEMORY_MS),
      };
      try {
        await storing(async () => {
          await retireLive(instanceId, now, session);
          await model.create([document], { session });
        });
        return true;
      } catch (error) {
        if (isDuplicateKey(error)) return false;
        throw error;
      }
    },
    /** Ends the instance's live code, if any. */
    retireLive: (instanceId: string, now: number, session?: ClientSession) =>
      storing(() => retireLive(instanceId, now, session)),
    findLive: (instanceId: string, now: number): Promise<BindingCode | null> =>
      storing(() =>
        model
          .findOne({ instanceId, state: 'live', expiresAt: { $gt: now } })
          .lean<BindingCode>()
          .exec(),
      ),
    find: (code: string): Promise<BindingCode | null> => storing(() => model.findById(code).lean<BindingCode>().exec()),
    /** The code that this item, or the one it replays, claimed; however long ago (up to 7 days). */
    findClaimed: (userKey: string, msgId: string): Promise<BindingCode | null> =>
      storing(() =>
        model
          .findOne({ state: 'claimed', claimedByUser: userKey, claimedByMsgId: originalId(msgId) })
          .lean<BindingCode>()
          .exec(),
      ),
    /**
     * Claims a live code for one item: only the first item gets it.
     * @returns true if it is this item's now
     */
    async claim(code: string, userKey: string, msgId: string, now: number): Promise<boolean> {
      const result = await storing(() =>
        model.updateOne(
          { _id: code, state: 'live', expiresAt: { $gt: now } },
          {
            $set: {
              state: 'claimed',
              claimedByUser: userKey,
              claimedByMsgId: originalId(msgId),
              forgetAt: new Date(now + CLAIMED_CODE_MEMORY_MS),
            },
          },
        ),
      );
      return result.modifiedCount === 1;
    },
    /** Stores what a claim led to, if nothing is stored yet. */
    settle: (code: string, outcome: BindingOutcome, instanceName: string | null, session?: ClientSession) =>
      storing(() =>
        model.updateOne(
          { _id: code, state: 'claimed', outcome: { $exists: false } },
          { $set: { outcome, ...(instanceName === null ? {} : { instanceName }) } },
          session ? { session } : {},
        ),
      ),
    /** Forgets that binding has failed, for another try. */
    reopen: (code: string) =>
      storing(() => model.updateOne({ _id: code, outcome: 'bindFailed' }, { $unset: { outcome: 1 } })),
    ensureIndexes: () => model.createIndexes(),
  };
}
