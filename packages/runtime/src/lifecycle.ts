// Starting parts in order and undoing that in reverse, also when the start fails or is broken off half-way.
import type { Service } from './run-service.ts';

export interface Opening {
  /** Aborted when the service is stopped while it still starts. */
  signal: AbortSignal;
  /** Registers how to undo what has just been opened. */
  opened(close: () => unknown): void;
}

/** A service whose `open` brings its parts up one after another. */
export function createLifecycle(open: (opening: Opening) => Promise<void>): Service {
  const stopping = new AbortController();
  const closers: (() => unknown)[] = [];
  let starting: Promise<void> = Promise.resolve();

  const unwind = async () => {
    for (const close of closers.splice(0).reverse()) await close();
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
      await starting.catch(() => {}); // told by start
      await unwind();
    },
  };
}
