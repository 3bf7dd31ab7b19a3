// What could not be handled, kept with its reason until an operator replays or drops it.
import { type Connection, Schema } from 'mongoose';
import { originalId, replayNumber } from '../replay-ids.ts';
import { expiresInDays } from '../side-writes.ts';
import { storing } from '../store-errors.ts';

/** How long a letter is still shown after it was replayed or dropped. */
const RETENTION_DAYS = 30;
/** Whoever began a replay and has not ended it by then is taken for dead: it may be begun again. */
const REPLAY_MS = 60_000;

/** `replaying`: somebody is at it, or died over it. `replayed`: out again; if that dies too, the letter waits again. */
export type DeadLetterState = 'waiting' | 'replaying' | 'replayed' | 'dropped';

export interface DeadLetter {
  /** `service:messageId`: one event is one dead letter, however often it dies. */
  _id: string;
  service: string;
  /** In words, without message text. */
  reason: string;
  /** Stable error code. */
  code: string;
  /** Over all its lives. */
  attempts: number;
  origin: { type: string; messageId: string; correlationId: string; userKey: string | null; exchange: string | null };
  /** The message's body, or what is left to be done of it, for the replay; null once dropped, or if it is gone. */
  body: string | null;
  firstAt: Date;
  lastAt: Date;
  state: DeadLetterState;
  /** How often it was replayed. */
  replays: number;
  /** When the replay under way began, epoch ms, database clock. */
  replayingAt?: number;
  forgetAt?: Date;
}

/** What is told of an event that is given up. */
export type NewDeadLetter = Pick<DeadLetter, 'service' | 'reason' | 'code' | 'attempts' | 'origin' | 'body'>;

const schema = new Schema(
  {
    _id: String,
    service: String,
    reason: String,
    code: String,
    attempts: Number,
    origin: Schema.Types.Mixed,
    body: String,
    firstAt: Date,
    lastAt: Date,
    state: String,
    replays: Number,
    replayingAt: Number,
    forgetAt: Date,
  },
  { versionKey: false },
);
schema.index({ service: 1, state: 1, firstAt: 1 });
schema.index({ forgetAt: 1 }, { expireAfterSeconds: 0 });

export function deadLetters(connection: Connection) {
  const model = connection.model<DeadLetter>('dead_letters', schema as never, 'dead_letters');
  const open: DeadLetterState[] = ['waiting', 'replaying'];

  return {
    /** Keeps an event. Telling the same death again changes nothing; when a replay dies, its letter waits again. */
    async keep({ attempts, ...letter }: NewDeadLetter): Promise<void> {
      const { service, origin, reason, code, body } = letter;
      const messageId = originalId(origin.messageId);
      const replays = replayNumber(origin.messageId);
      const _id = `${service}:${messageId}`;
      const lastAt = new Date();
      if (replays > 0) {
        // Only of the latest replay: an older death may be told again by somebody who had crashed over it.
        const { matchedCount } = await storing(() =>
          model.updateOne(
            { _id, replays, state: { $in: ['replaying', 'replayed'] } },
            {
              $set: { reason, code, ...(body !== null && { body }), lastAt, state: 'waiting' },
              $inc: { attempts },
              $unset: { forgetAt: 1 },
            },
          ),
        );
        if (matchedCount > 0) return;
      }
      const fields = { ...letter, origin: { ...origin, messageId }, attempts, replays, firstAt: lastAt, lastAt };
      await storing(() =>
        model.updateOne({ _id }, { $setOnInsert: { ...fields, state: 'waiting' } }, { upsert: true }),
      );
    },
    /** Oldest first. @param service null: of all */
    list: (service: string | null, limit: number, states: readonly DeadLetterState[] = open): Promise<DeadLetter[]> =>
      storing(() =>
        model
          .find({ state: { $in: [...states] }, ...(service !== null && { service }) })
          .sort({ firstAt: 1 })
          .limit(limit)
          .lean<DeadLetter[]>(),
      ),
    find: (id: string): Promise<DeadLetter | null> => storing(() => model.findById(id).lean<DeadLetter>().exec()),
    /** How many wait for somebody to decide. */
    countOpen: (service: string): Promise<number> =>
      storing(() => model.countDocuments({ service, state: { $in: open } }).exec()),
    /**
     * Claims a letter for its next replay. A replay that somebody died over is begun again under its old number.
     * @returns the letter as it stands now; null if it doesn't wait (any more)
     */
    async beginReplay(id: string, now: number): Promise<DeadLetter | null> {
      const claim = (filter: object, update: object) =>
        storing(() =>
          model
            .findOneAndUpdate({ _id: id, ...filter }, update, { returnDocument: 'after' })
            .lean<DeadLetter>()
            .exec(),
        );
      const set = { $set: { state: 'replaying', replayingAt: now } };
      return (
        (await claim({ state: 'waiting' }, { ...set, $inc: { replays: 1 } })) ??
        (await claim({ state: 'replaying', replayingAt: { $lt: now - REPLAY_MS } }, set))
      );
    },
    /** The replay is out; or it isn't, as far as we know: then the next one goes out under the same number. */
    endReplay: ({ _id, replays }: DeadLetter, isOut: boolean) =>
      storing(() =>
        model.updateOne(
          { _id, replays, state: 'replaying' },
          { $set: isOut ? { state: 'replayed', forgetAt: expiresInDays(RETENTION_DAYS) } : { replayingAt: 0 } },
        ),
      ),
    /** Only the trace stays, for a while. @returns false if it doesn't wait (any more) */
    async drop(id: string): Promise<boolean> {
      const forgetAt = expiresInDays(RETENTION_DAYS);
      const { matchedCount } = await storing(() =>
        model.updateOne({ _id: id, state: 'waiting' }, { $set: { state: 'dropped', body: null, forgetAt } }),
      );
      return matchedCount > 0;
    },
    ensureIndexes: () => model.createIndexes(),
  };
}
