// When WeCom turns a whole account away, nobody asks again before it makes sense, and then one asks for all.

/** While a setting is wrong one call in this time finds out whether it has been mended. */
const PROBE_INTERVAL_MS = 30_000;
/** Those turned away come back spread over this, not all at the same moment, and many not faster than WeCom takes them. */
const SPREAD_MS = 2_000;
const SPACING_MS = 6;

export interface AccountGate {
  /** @returns 0 if this call may go, else how long it has to wait, ms */
  enter(): number;
  /** WeCom asked to be left alone: passes by itself. */
  pause(forMs: number): void;
  /** A setting is wrong. @param reason for the readiness answer: what to mend */
  fail(reason: string): void;
  /** A call went through: whatever was wrong is mended. */
  opened(): void;
  /** What an operator has to mend, or null. */
  problem(): string | null;
}

/** @param now monotonic ms @param random in [0, 1) */
export function createAccountGate(now = () => performance.now(), random = Math.random): AccountGate {
  let closedUntil = 0;
  let problem: string | null = null;
  let turnedAway = 0;
  return {
    enter() {
      const leftMs = closedUntil - now();
      if (leftMs > 0) return leftMs + Math.max(random() * SPREAD_MS, turnedAway++ * SPACING_MS);
      turnedAway = 0;
      // This one asks; the rest waits for what it finds.
      if (problem !== null) closedUntil = now() + PROBE_INTERVAL_MS;
      return 0;
    },
    pause(forMs) {
      closedUntil = Math.max(closedUntil, now() + forMs);
    },
    fail(reason) {
      problem = reason;
      closedUntil = Math.max(closedUntil, now() + PROBE_INTERVAL_MS);
    },
    opened() {
      if (problem !== null) closedUntil = 0;
      problem = null;
    },
    problem: () => problem,
  };
}
