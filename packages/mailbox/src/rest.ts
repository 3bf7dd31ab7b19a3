// What an actor needn't save at once rests for a moment: mostly the user's next event saves it along with itself.

/**
 * Rests of all actors end together, at every multiple of this, so that their saves share a round trip. Adds as much (at
 * most one and a half times) to the time in which a crash makes a call or a publish be repeated under its old id.
 */
const REST_MS = 250;
/** With a delivery that all others wait for. */
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
        isShort ? SHORT_REST_MS : untilNextEnd(),
      );
    },
    end,
  };
}

/** At least half a rest away: what has just begun would have nothing to ride in. */
function untilNextEnd(): number {
  const left = REST_MS - (performance.now() % REST_MS);
  return left < REST_MS / 2 ? left + REST_MS : left;
}
