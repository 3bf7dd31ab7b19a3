// When WeCom turns an account, or all of a corp, away: nobody asks again before it makes sense, and then one asks for all.
import { describeErrcode, GETTOKEN, type WecomError } from '@pipeline/wecom';

/** While a setting is wrong one call in this time finds out whether it has been mended. */
const PROBE_INTERVAL_MS = 30_000;
/** Those turned away come back spread over this, not all at the same moment, and many not faster than WeCom takes them. */
const SPREAD_MS = 2_000;
const SPACING_MS = 6;
/** Nobody has asked for so long: nothing waits for it any more, here at least. */
const FORGOTTEN_AFTER_MS = 300_000;

export interface AccountGates {
  /** @returns 0 if this call may go, else how long it has to wait, ms */
  enter(openKfId: string): number;
  /** What a call met: a setting to be mended, a quota that is spent. Anything else changes nothing. */
  refused(openKfId: string, error: WecomError): void;
  /** A call went through: whatever was wrong is mended. */
  opened(openKfId: string): void;
  /** What an operator has to mend, or null. */
  problem(): string | null;
}

/**
 * A gate for each KF account, and one in front of all: without a token, or once the corp's quota is spent, there is
 * nothing to ask for any account.
 * @param now monotonic ms @param random in [0, 1)
 */
export function createAccountGates(now = () => performance.now(), random = Math.random): AccountGates {
  const corp = createGate(now, random);
  const accounts = new Map<string, Gate>();
  const gateOf = (openKfId: string): Gate => {
    const gate = accounts.get(openKfId) ?? createGate(now, random);
    accounts.set(openKfId, gate);
    return gate;
  };
  return {
    enter: (openKfId) => corp.enter() || gateOf(openKfId).enter(),
    refused(openKfId, error) {
      const { errcode, retryAfterMs } = error;
      const isOfAll = error.api === GETTOKEN;
      const hint = `${error.message}: ${describeErrcode(errcode ?? 0).hint}`;
      if (error.class === 'configuration') (isOfAll ? corp : gateOf(openKfId)).fail(hint);
      if (retryAfterMs !== null) corp.pause(retryAfterMs);
    },
    opened(openKfId) {
      corp.opened();
      gateOf(openKfId).opened();
    },
    problem() {
      const problems = [...accounts].flatMap(([openKfId, gate]) => {
        const problem = gate.problem();
        return problem === null ? [] : [`${openKfId}: ${problem}`];
      });
      return [corp.problem(), ...problems].filter((problem) => problem !== null).join('; ') || null;
    },
  };
}

type Gate = ReturnType<typeof createGate>;

function createGate(now: () => number, random: () => number) {
  let closedUntil = 0;
  let problem: string | null = null;
  let failedAt = 0;
  let turnedAway = 0;
  return {
    enter(): number {
      const leftMs = closedUntil - now();
      if (leftMs > 0) return leftMs + Math.max(random() * SPREAD_MS, turnedAway++ * SPACING_MS);
      turnedAway = 0;
      // This one asks; the rest waits for what it finds.
      if (problem !== null) closedUntil = now() + PROBE_INTERVAL_MS;
      return 0;
    },
    /** WeCom asked to be left alone: passes by itself. */
    pause(forMs: number) {
      closedUntil = Math.max(closedUntil, now() + forMs);
    },
    /** A setting is wrong. @param reason for the readiness answer: what to mend */
    fail(reason: string) {
      problem = reason;
      failedAt = now();
      closedUntil = Math.max(closedUntil, now() + PROBE_INTERVAL_MS);
    },
    opened() {
      if (problem !== null) closedUntil = 0;
      problem = null;
    },
    problem: () => (now() - failedAt < FORGOTTEN_AFTER_MS ? problem : null),
  };
}
