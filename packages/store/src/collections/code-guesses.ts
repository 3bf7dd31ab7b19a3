// Code-shaped texts that matched no code, per user: whoever guesses too often gets no more look-ups for a while.
import { type Connection, Schema } from 'mongoose';
import { storing } from '../store-errors.ts';

interface Guess {
  msgId: string;
  /** Epoch seconds: the item's send_time. */
  sendTime: number;
}
interface CodeGuesses {
  _id: string;
  guesses: Guess[];
  expiresAt: Date;
}

const KEPT_GUESSES = 32;

const schema = new Schema({ _id: String, guesses: [Schema.Types.Mixed], expiresAt: Date }, { versionKey: false });
schema.index({ expiresAt: 1 }, { expireAfterSeconds: 0 });

export function codeGuesses(connection: Connection) {
  const model = connection.model<CodeGuesses>('code_guesses', schema as never, 'code_guesses');
  return {
    /** Guesses (other than by this very item) with a send_time in `(sinceSendTime, sendTime]`. */
    async count(userKey: string, msgId: string, sinceSendTime: number, sendTime: number): Promise<number> {
      const found = await storing(() => model.findById(userKey).lean<CodeGuesses>().exec());
      return (found?.guesses ?? []).filter(
        (guess) => guess.msgId !== msgId && guess.sendTime > sinceSendTime && guess.sendTime <= sendTime,
      ).length;
    },
    /** Remembers a wrong guess, once per item however often its page is read. */
    async add(userKey: string, guess: Guess, forgetAt: Date): Promise<void> {
      await storing(async () => {
        // The document first: of two first guesses at the same time neither is lost.
        await model.updateOne({ _id: userKey }, { $set: { expiresAt: forgetAt } }, { upsert: true });
        await model.updateOne(
          { _id: userKey, 'guesses.msgId': { $ne: guess.msgId } },
          { $push: { guesses: { $each: [guess], $slice: -KEPT_GUESSES } } },
        );
      });
    },
    ensureIndexes: () => model.createIndexes(),
  };
}
