// Answers that an earlier version stored in a collection `tasks`, for what it had not finished when it was stopped.
// Its documents expire by themselves 30 days after their tasks began.
import type { Connection, mongo } from 'mongoose';
import { storing } from '../store-errors.ts';

export interface OldAnswer {
  /** `userKey:msgId` */
  _id: string;
  userKey: string;
  msgId: string;
  answer: { ok: boolean; content: string; isTimeout: boolean };
}

export function oldAnswers(connection: Connection) {
  const tasks = (connection.db as mongo.Db).collection<OldAnswer>('tasks');
  const isUntaken = { answerPendingSince: { $type: 'number' } } as object;
  return {
    /** Those that no turn has taken. @throws RetryableError `store-away` */
    untaken: (): Promise<OldAnswer[]> => storing(() => tasks.find(isUntaken).toArray()),
    /** One, taken or not; null if there is none. @throws RetryableError `store-away` */
    find: (id: string): Promise<OldAnswer | null> => storing(() => tasks.findOne({ _id: id })),
    /** @throws RetryableError `store-away` */
    take: async (id: string): Promise<void> => {
      await storing(() => tasks.updateOne({ _id: id }, { $set: { answerPendingSince: null } } as object));
    },
    ensureIndexes: async () => {},
  };
}
