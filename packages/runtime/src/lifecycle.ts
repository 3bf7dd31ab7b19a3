// Starting parts in order and undoing that in reverse, also when the start fails or is broken off half-way.
import type { Service } from './run-service.ts';
import { waitAtMost } from './wait.ts';

/** All parts together have this long to end: what hangs by then ends with the process, which promises that within 10 s. */
const STOP_BUDGET_MS = 8_000;

export interface Opening {
  /** Aborted when the service is stopped while it still starts. */
  signal: AbortSignal;
  /** Registers how to undo what has just been opened. */
  opened(close: () => unknown): void;
}

/** A service whose `open` brings its parts up one after another. */
export function createLifecycle(open: (opening: Opening) => Promise<void>, stopBudgetMs = STOP_BUDGET_MS): Service {
  const stopping = new AbortController();
  const closers: (() => unknown)[] = [];
  let starting: Promise<void> = Promise.resolve();

  const unwind = async (endsAt = performance.now() + stopBudgetMs) => {
    // Once it is used up the rest is still told to close, but not waited for.
    for (const close of closers.splice(0).reverse())
      await waitAtMost(Math.max(0, endsAt - performance.now()), Promise.resolve(close()));
  };
  return {
    start() {
      starting = open({ signal: stopping.signal, opened: (close) => closers.push(close) });
      return starting.catch(async (error) => {
        await unwind();
        throw error;
      });
    },
    async stop() {
      stopping.abort();
      const endsAt = performance.now() + stopBudgetMs;
      const begun = starting.catch(() => {}); // told by start
      await waitAtMost(stopBudgetMs, begun);
      await unwind(endsAt);
    },
  };
}
