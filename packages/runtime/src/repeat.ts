// Something done again and again in the background, until the service stops.
import { errorFields, type Logger } from './logger.ts';
import { sleep, waitAtMost } from './wait.ts';

/** A run may hang, as a publish does while the broker holds publishers back. */
const STOP_MS = 1_000;

export interface Repetition {
  /** Ends it; waits for a run under way, but not longer than 1 s. */
  stop(): Promise<void>;
}

/**
 * Runs `work` every `everyMs`, one run after another. A run that fails is logged: the next one is its second try.
 * @param isPossible false: this time is left out
 */
export function repeat(options: {
  everyMs: number;
  isPossible: () => boolean;
  work: () => Promise<void>;
  logger: Logger;
  /** Log event of a run that fails. */
  failed: string;
}): Repetition {
  const stopping = new AbortController();
  const { signal } = stopping;
  const running = (async () => {
    while (!signal.aborted) {
      await sleep(options.everyMs, signal);
      if (signal.aborted || !options.isPossible()) continue;
      await options.work().catch((error) => options.logger.warn(errorFields(error), options.failed));
    }
  })();
  return {
    stop() {
      stopping.abort();
      return waitAtMost(STOP_MS, running);
    },
  };
}
