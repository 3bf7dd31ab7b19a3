// What an actor needn't save at once rests for a moment: mostly the user's next event saves it along with itself.
import { untilTick } from '@pipeline/runtime';

/**
 * No rest is shorter; those of all actors end together, so that their saves share a round trip. Adds as much (at most a
 * third more) to the time in which a crash makes a call or a publish be repeated under its old id; less than the guard of
 * a call (GUARD_MS), which such an actor still shows to the sweep.
 */
const REST_MS = 750;
/** With a delivery that all others wait for, or before the partition goes. */
const SHORT_REST_MS = 10;

export interface Rest {
  /** It has lasted long enough: save. */
  isOver(): boolean;
  /** The actor stops working for now: if something rests, it is woken in time. */
  begin(isShort?: boolean): void;
  /** All that rested is saved, or forgotten with the actor. */
  end(): void;
}

export function createRest(isNeeded: () => boolean, wake: () => void): Rest {
  let timer: NodeJS.Timeout | undefined;
  let isOver = false;
  const end = () => {
    clearTimeout(timer);
    timer = undefined;
    isOver = false;
  };
  return {
    isOver: () => isOver,
    begin(isShort = false) {
      isOver = false;
      if (!isNeeded()) return;
      // Also if a longer one has begun.
      if (isShort) end();
      timer ??= setTimeout(
        () => {
          timer = undefined;
          isOver = isNeeded();
          wake();
        },
        isShort ? SHORT_REST_MS : REST_MS + untilTick(),
      );
    },
    end,
  };
}
