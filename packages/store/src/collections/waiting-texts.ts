// Of all users: answers that stand in the sender's ledgers until their user writes again.
import type { Connection, mongo } from 'mongoose';
import { storing } from '../store-errors.ts';

export interface WaitingTexts {
  users: number;
  texts: number;
  /** Since when the oldest waits, epoch ms; null if none does. */
  oldestSince: number | null;
}

/** Where a ledger has it: `waitingSince` of a text in its queue, null while it doesn't wait. */
const SINCE = 'state.queue.waitingSince';
/** With the type named, or the partial index isn't used. */
const isWaiting = { [SINCE]: { $type: 'number' as const } };

export function waitingTexts(connection: Connection) {
  const ledgers = () => (connection.db as mongo.Db).collection('ledgers');
  return {
    /** Reads nothing but ledgers in which something waits. @throws RetryableError `store-away` */
    measure: (): Promise<WaitingTexts> =>
      storing(async () => {
        const [found] = await ledgers()
          .aggregate<WaitingTexts>([
            { $match: isWaiting },
            {
              $project: {
                since: { $filter: { input: `$${SINCE}`, as: 'since', cond: { $isNumber: '$$since' } } },
              },
            },
            {
              $group: {
                _id: null,
                users: { $sum: 1 },
                texts: { $sum: { $size: '$since' } },
                oldestSince: { $min: { $min: '$since' } },
              },
            },
            { $project: { _id: 0 } },
          ])
          .toArray();
        return found ?? { users: 0, texts: 0, oldestSince: null };
      }),

    ensureIndexes: () => ledgers().createIndex({ [SINCE]: 1 }, { partialFilterExpression: isWaiting }),
  };
}
