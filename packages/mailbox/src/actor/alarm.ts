// The timer of an actor: one at a time, as long as one timer can wait, and patient with those that fire early.

const MAX_TIMER_MS = 2 ** 31 - 1;

export interface Alarm {
  /** Rings at `due` (epoch ms, null: not at all) instead of when it was set to before. */
  set(due: number | null): void;
  stop(): void;
}

/** @param ring called when the time has come, or a little earlier: look at the clock and set it again if need be */
export function createAlarm(now: () => number, ring: () => void): Alarm {
  let timer: NodeJS.Timeout | undefined;
  return {
    set(due) {
      clearTimeout(timer);
      timer = undefined;
      if (due === null) return;
      timer = setTimeout(ring, Math.min(Math.ceil(Math.max(0, due - now())), MAX_TIMER_MS));
      timer.unref();
    },
    stop: () => clearTimeout(timer),
  };
}

/** The earliest of some times, null if there is none. */
export function earliest(...times: (number | null)[]): number | null {
  const set = times.filter((time) => time !== null);
  return set.length === 0 ? null : Math.min(...set);
}
