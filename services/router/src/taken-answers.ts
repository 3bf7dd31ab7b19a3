// Answers whose turns have taken them, noted on their tasks many at a time: until then the sweep would announce them again.
import { errorFields, type Logger } from '@pipeline/runtime';
import type { Store } from '@pipeline/store';

/** Well below the time after which the sweep takes an answer for forgotten. */
const NOTE_EVERY_MS = 250;

export interface TakenAnswers {
  note(taskId: string): void;
  close(): Promise<void>;
}

export function createTakenAnswers(deps: {
  store: Pick<Store, 'tasks' | 'now'>;
  noted(taskId: string): void;
  logger: Logger;
}): TakenAnswers {
  const { store, logger } = deps;
  let waiting: string[] = [];
  let timer: NodeJS.Timeout | undefined;

  const flush = async () => {
    clearTimeout(timer);
    timer = undefined;
    const ids = waiting;
    waiting = [];
    if (ids.length === 0) return;
    // Lost notes do no harm: the sweep announces the answers, and their conversations know them.
    await store.tasks
      .noteAnswered(ids, store.now())
      .catch((error) => logger.warn(errorFields(error), 'answers.not-noted'));
    for (const id of ids) deps.noted(id);
  };

  return {
    note(taskId) {
      waiting.push(taskId);
      timer ??= setTimeout(() => void flush(), NOTE_EVERY_MS);
    },
    close: flush,
  };
}
