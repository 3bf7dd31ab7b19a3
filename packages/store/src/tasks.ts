// One task per turn that reached a bridge: what the callback's checks need, and the bridge's first answer.
import { randomUUID } from 'node:crypto';
import { type Connection, type mongo, Schema } from 'mongoose';
import { grouped } from './grouped.ts';
import { expiresInDays, type SideWrite } from './side-writes.ts';
import { storing } from './store-errors.ts';

const RETENTION_DAYS = 30;

export interface Answer {
  ok: boolean;
  /** The answer, or the bridge's error text when `ok` is false. */
  content: string;
  isTimeout: boolean;
}

export interface Task {
  /** `userKey:msgId` */
  _id: string;
  userKey: string;
  msgId: string;
  instanceId: string;
  instanceName: string;
  serverHost: string;
  hostPort: number;
  startedAt: number;
  endedAt?: number;
  endedBy?: string;
  answer?: Answer;
  answeredAt?: number;
  /** Names the arrival that was the first. */
  answerId?: string;
  /** Set while an answer waits for its turn to take it; the sweep announces it again. */
  answerPendingSince?: number | null;
  /** Answers after the first. */
  extraAnswers?: number;
  expiresAt: Date;
}

const schema = new Schema(
  {
    _id: String,
    userKey: String,
    msgId: String,
    instanceId: String,
    instanceName: String,
    serverHost: String,
    hostPort: Number,
    startedAt: Number,
    endedAt: Number,
    endedBy: String,
    answer: { ok: Boolean, content: String, isTimeout: Boolean },
    answeredAt: Number,
    answerId: String,
    answerPendingSince: Number,
    extraAnswers: Number,
    expiresAt: Date,
  },
  { versionKey: false },
);
schema.index({ answerPendingSince: 1 }, { partialFilterExpression: { answerPendingSince: { $type: 'number' } } });
schema.index({ expiresAt: 1 }, { expireAfterSeconds: 0 });

export const taskId = (userKey: string, msgId: string) => `${userKey}:${msgId}`;

type StartedTask = Pick<
  Task,
  'userKey' | 'msgId' | 'instanceId' | 'instanceName' | 'serverHost' | 'hostPort' | 'startedAt'
>;

/** Asked for with each POST of the task, the repeated ones included. */
export const taskStartedWrite = (task: StartedTask): SideWrite => ({
  collection: 'tasks',
  isBeside: true,
  isNew: true,
  filter: { _id: taskId(task.userKey, task.msgId) },
  update: { $set: { ...task, expiresAt: expiresInDays(RETENTION_DAYS) } },
  upsert: true,
});

export interface AnswerArrival {
  /** As `taskId` makes it. */
  id: string;
  answer: Answer;
  /** Epoch ms. */
  now: number;
}

export interface TaskClosing {
  /** As `taskId` makes it. */
  id: string;
  /** What ended its turn; null: its turn had ended before. */
  endedBy: string | null;
  endedAt: number;
  /** Its answer need not be announced any more. */
  isAnswerTaken: boolean;
}

export type StoredAnswer = 'accepted' | 'duplicate' | 'late' | 'unknown';

export function tasks(connection: Connection) {
  const model = connection.model<Task>('tasks', schema as never, 'tasks');
  // The driver's collection where it is hot: mongoose would cast every update.
  const collection = model.collection as unknown as mongo.Collection<Task>;

  const answerFields = ({ answer, now }: AnswerArrival, answerId: string) => ({
    answer,
    answerId,
    answeredAt: now,
    answerPendingSince: now,
  });

  const storeUnusual = async (arrival: AnswerArrival): Promise<StoredAnswer> => {
    const before = await collection.findOneAndUpdate(
      { _id: arrival.id, answeredAt: { $exists: false } },
      { $set: answerFields(arrival, randomUUID()) },
      { projection: { endedAt: 1 } },
    );
    if (before) return before.endedAt === undefined ? 'accepted' : 'late';
    const repeated = await collection.updateOne({ _id: arrival.id }, { $inc: { extraAnswers: 1 } });
    return repeated.matchedCount === 1 ? 'duplicate' : 'unknown';
  };

  const storeAnswers = async (arrivals: AnswerArrival[]): Promise<StoredAnswer[]> => {
    const answerIds = arrivals.map(() => randomUUID());
    const { matchedCount } = await collection.bulkWrite(
      arrivals.map((arrival, index) => ({
        updateOne: {
          filter: { _id: arrival.id, answeredAt: { $exists: false }, endedAt: { $exists: false } },
          update: { $set: answerFields(arrival, answerIds[index] ?? '') },
        },
      })),
    );
    // As a rule every answer is the first one and in time.
    if (matchedCount === arrivals.length) return arrivals.map(() => 'accepted');
    const ids = [...new Set(arrivals.map(({ id }) => id))];
    const found = await collection.find({ _id: { $in: ids } }, { projection: { answerId: 1 } }).toArray();
    const stored = new Set(found.map(({ answerId }) => answerId));
    return Promise.all(
      arrivals.map((arrival, index) => (stored.has(answerIds[index]) ? 'accepted' : storeUnusual(arrival))),
    );
  };

  return {
    find: (id: string): Promise<Task | null> => storing(() => model.findById(id).lean<Task>().exec()),

    /**
     * Stores the first answer to a task; later ones are only counted.
     * @returns `unknown` when there is no such task
     * @throws RetryableError `store-away`
     */
    storeAnswer: grouped((arrivals: AnswerArrival[]) => storing(() => storeAnswers(arrivals))),

    /**
     * Notes on a task what its conversation has decided.
     * @throws RetryableError `store-away`
     */
    close: grouped(async (closings: TaskClosing[]) => {
      const operations = closings.map(({ id, endedBy, endedAt, isAnswerTaken }) => ({
        updateOne: {
          filter: { _id: id },
          update: {
            $set: {
              ...(endedBy === null ? {} : { endedBy, endedAt }),
              ...(isAnswerTaken ? { answerPendingSince: null } : {}),
            },
          },
        },
      }));
      await storing(() => collection.bulkWrite(operations, { ordered: true }));
      return [] as undefined[];
    }),

    /** Notes that these tasks' first answers ended their turns. @param now epoch ms @throws RetryableError `store-away` */
    noteAnswered: (ids: readonly string[], now: number) =>
      storing(() =>
        collection.updateMany(
          { _id: { $in: [...ids] } },
          { $set: { endedBy: 'answer', endedAt: now, answerPendingSince: null } },
        ),
      ),

    /** Answers that no turn has taken since `before` (epoch ms), oldest first. */
    async untaken(before: number, limit: number): Promise<Pick<Task, 'userKey' | 'msgId'>[]> {
      // With the type named, or the partial index isn't used and each sweep reads the whole collection.
      const isUntaken = { answerPendingSince: { $lt: before, $type: 'number' } };
      return storing(() =>
        model
          .find(isUntaken as object, { userKey: 1, msgId: 1 })
          .sort({ answerPendingSince: 1 })
          .limit(limit)
          .lean<Task[]>(),
      );
    },

    /** Puts the next announcement of untaken answers off, for as long as they have waited, up to `maxMs`. */
    postpone(ids: readonly string[], now: number, maxMs: number) {
      const delay = { $min: [{ $subtract: [now, '$answeredAt'] }, maxMs] };
      return storing(() =>
        collection.updateMany({ _id: { $in: [...ids] }, answerPendingSince: { $ne: null } }, [
          { $set: { answerPendingSince: { $add: [now, delay] } } },
        ]),
      );
    },

    ensureIndexes: () => model.createIndexes(),
  };
}
