// How many sends are under way at once: WeCom says when it is too many (45033), never how many it would take.
import { isWecomError } from '@pipeline/wecom';

const TOO_MANY_AT_ONCE = 45033;
const RAISE_EVERY_MS = 1_000;
/** As many as the client has connections: beyond that the limit limits nothing. */
const UNLIMITED_FROM = 64;

export interface SendConcurrency {
  /**
   * Runs a send as soon as there is room for it, first come, first served. If WeCom finds it too many, half as many
   * are under way from then on, and one more each second that it doesn't say so again.
   */
  run<T>(send: () => Promise<T>): Promise<T>;
  /** Infinity while WeCom hasn't complained. */
  limit(): number;
}

/** @param now monotonic ms */
export function createSendConcurrency(now = () => performance.now()): SendConcurrency {
  let limit = Number.POSITIVE_INFINITY;
  let running = 0;
  let changedAt = 0;
  /** Counts the halvings: what was begun before one says nothing about what is allowed since. */
  let era = 0;
  const waiting: (() => void)[] = [];

  const raiseIfCalm = () => {
    if (limit === Number.POSITIVE_INFINITY || now() - changedAt < RAISE_EVERY_MS) return;
    limit = limit + 1 < UNLIMITED_FROM ? limit + 1 : Number.POSITIVE_INFINITY;
    changedAt = now();
  };
  const admit = () => {
    while (running < limit && waiting.length > 0) {
      running++;
      waiting.shift()?.();
    }
  };

  return {
    async run(send) {
      raiseIfCalm();
      await new Promise<void>((resolve) => {
        waiting.push(resolve);
        admit();
      });
      const begunIn = era;
      try {
        return await send();
      } catch (error) {
        if (isWecomError(error) && error.errcode === TOO_MANY_AT_ONCE && begunIn === era) {
          era++;
          limit = Math.max(1, Math.floor(Math.min(limit, running) / 2));
          changedAt = now();
        }
        throw error;
      } finally {
        running--;
        admit();
      }
    },
    limit: () => limit,
  };
}
