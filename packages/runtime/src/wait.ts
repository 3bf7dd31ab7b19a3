// Waiting that can be ended early.

/** Resolves after `ms`, or at once when the signal aborts. Never rejects. */
export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const done = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal?.addEventListener('abort', done, { once: true });
  });
}

/** Exponential backoff: `firstMs`, doubling to `maxMs`. `attempt` counts from 0. */
export function backoffMs(attempt: number, firstMs: number, maxMs: number): number {
  return Math.min(maxMs, firstMs * 2 ** Math.min(attempt, 30));
}

/** Resolves when `work` is done, but after `ms` at the latest; the work isn't ended by that. Leaves no timer behind. */
export async function waitAtMost(ms: number, work: Promise<unknown>): Promise<void> {
  const done = new AbortController();
  await Promise.race([work, sleep(ms, done.signal)]).finally(() => done.abort());
}

/** Looks again every 10 ms, for `ms` at the longest. */
export async function waitUntil(condition: () => boolean, ms: number): Promise<void> {
  const giveUpAt = performance.now() + ms;
  while (!condition() && performance.now() < giveUpAt) await sleep(10);
}

const TICK_MS = 250;

/**
 * What rests may end its rest when everything else in this process does, and so share a round trip: each 250 ms.
 * @param behindMs so long after the others
 * @returns ms until then, more than 0
 */
export const untilTick = (behindMs = 0): number => TICK_MS - ((performance.now() - behindMs) % TICK_MS);
