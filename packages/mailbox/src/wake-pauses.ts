// When an actor's wakes are put off: after one that changed nothing, and after too many on which we failed.
import type { ActorDocument } from '@pipeline/store';
import { THROWING_WAKE_PAUSE_MS } from './actor-types.ts';

/** A wake that changed nothing isn't repeated sooner. */
const IDLE_WAKE_PAUSE_MS = 1_000;

export function createWakePauses<S>(now: () => number, stateDueAt: (state: S) => number | null) {
  let noWakeBefore = 0;
  /** Set once wakes have thrown too often. */
  let pausedUntil: number | null = null;

  const dueAt = (state: S): number | null => {
    const due = stateDueAt(state);
    return due === null || pausedUntil === null ? due : Math.max(due, pausedUntil);
  };

  const rest = () => {
    noWakeBefore = now() + IDLE_WAKE_PAUSE_MS;
  };

  return {
    /** A wake may have killed the last owner: events get through first, and one that was put off stays so. */
    loaded(document: ActorDocument<S>) {
      rest();
      const due = stateDueAt(document.state);
      if (due !== null && document.wakeAt !== null && document.wakeAt > due)
        pausedUntil = Math.min(document.wakeAt, now() + THROWING_WAKE_PAUSE_MS);
    },
    /** A wake changed nothing. */
    rest,
    /** Wakes have thrown too often. */
    pause() {
      pausedUntil = now() + THROWING_WAKE_PAUSE_MS;
    },
    isPaused: () => pausedUntil !== null && now() < pausedUntil,
    /** The state's due time, epoch ms, as it is stored. */
    dueAt,
    /** The same, as this process keeps to it. */
    ownDueAt(state: S): number | null {
      const due = dueAt(state);
      return due !== null && due <= now() ? Math.max(due, noWakeBefore) : due;
    },
  };
}
