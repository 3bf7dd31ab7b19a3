// WeCom simulator: fixed one-minute windows; once spent, a window refuses until it ends.
import type { Clock } from './clock.ts';

export type CallQuota = {
  /** Counts one use under the name; false when the limit (null: none) is exceeded. */
  take(name: string, limit: number | null): boolean;
  clear(): void;
};

export function createCallQuota(clock: Clock): CallQuota {
  const windows = new Map<string, { endsAt: number; used: number }>();
  return {
    take(name, limit) {
      if (limit === null) return true;
      const now = clock.nowMs();
      let window = windows.get(name);
      if (window === undefined || window.endsAt <= now) {
        window = { endsAt: now + 60_000, used: 0 };
        windows.set(name, window);
      }
      window.used += 1;
      return window.used <= limit;
    },
    clear: () => windows.clear(),
  };
}
