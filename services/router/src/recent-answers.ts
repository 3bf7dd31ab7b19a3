// Answers stored a moment ago, so that the turn they end needn't read them back. Safe: a task's first answer never changes.
import type { Answer } from '@pipeline/store';

const MAX_KEPT = 200;

export interface RecentAnswers {
  put(taskId: string, answer: Answer): void;
  get(taskId: string): Answer | undefined;
  forget(taskId: string): void;
}

export function createRecentAnswers(): RecentAnswers {
  const answers = new Map<string, Answer>();
  return {
    put(taskId, answer) {
      const [oldest] = answers.keys();
      if (answers.size >= MAX_KEPT && oldest !== undefined) answers.delete(oldest);
      answers.set(taskId, answer);
    },
    get: (taskId) => answers.get(taskId),
    forget: (taskId) => answers.delete(taskId),
  };
}
