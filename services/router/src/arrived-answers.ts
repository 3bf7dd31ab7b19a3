// Answers that came to this process a moment ago: their turns need neither wait until they are stored nor read them back.
import type { Answer, StoredAnswer } from '@pipeline/store';

const MAX_KEPT = 200;

export interface ArrivedAnswer {
  answer: Answer;
  /** What the database says of it: it may still be on its way there. */
  stored: Promise<StoredAnswer>;
}

export interface ArrivedAnswers {
  /** @returns false if one to this task is known: that one counts here */
  put(taskId: string, arrived: ArrivedAnswer): boolean;
  get(taskId: string): ArrivedAnswer | undefined;
  forget(taskId: string): void;
}

export function createArrivedAnswers(): ArrivedAnswers {
  const answers = new Map<string, ArrivedAnswer>();
  return {
    put(taskId, arrived) {
      if (answers.has(taskId)) return false;
      const [oldest] = answers.keys();
      if (answers.size >= MAX_KEPT && oldest !== undefined) answers.delete(oldest);
      answers.set(taskId, arrived);
      return true;
    },
    get: (taskId) => answers.get(taskId),
    forget: (taskId) => answers.delete(taskId),
  };
}

/** Whether the database has taken it as its task's first answer. */
export const isTaken = (status: StoredAnswer): boolean => status === 'accepted' || status === 'late';

/** The same of one that may still be on its way there; null if the database could not be asked. */
export const isFirst = ({ stored }: ArrivedAnswer): Promise<boolean | null> => stored.then(isTaken, () => null);

export const isSameAnswer = (one: Answer, other: Answer): boolean =>
  one.ok === other.ok && one.isTimeout === other.isTimeout && one.content === other.content;
