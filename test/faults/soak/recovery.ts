// Soak ─▶ how long users waited for their next answer after a service was killed or the broker had come back.
import type { Happened } from './inject.ts';
import type { Machine } from './machine.ts';
import type { Said } from './users.ts';
import type { Ending } from './verdict.ts';

/** A user is affected who had a message open at that moment, or wrote so soon after it. */
const SOON_MS = 1_000;

export interface Recovery {
  /** ms, ascending. */
  waits: number[];
  p99: number | null;
}

/**
 * Only moments count around which nothing else was wrong; kills of other services are not taken for something else. The
 * stretch that must be free of other faults has a fixed length: slow recoveries aren't left out for being slow.
 */
export function measureRecovery(
  machine: Machine,
  said: readonly Said[],
  endings: Map<string, Ending>,
  happened: readonly Happened[],
  options: { moments: readonly number[]; isDisturbing(fault: Happened): boolean; clearMs: number },
): Recovery {
  const { moments, isDisturbing, clearMs } = options;
  const disturbing = happened.filter(isDisturbing);
  const hits = machine.wecom.control.faultHits();
  const byUser = Map.groupBy(said, ({ user }) => user);
  const waits: number[] = [];
  for (const moment of moments) {
    const until = moment + clearMs;
    if (disturbing.some(({ from, to }) => from < until && to > moment - clearMs)) continue;
    // WeCom fails one call in twenty: users whose own calls it failed waited for that, and all did if it was sync_msg.
    const hit = hits.filter(({ at }) => at > moment - clearMs && at < until);
    if (hit.some(({ api, kinds }) => api === 'sync_msg' && kinds.some((kind) => !isHarmless(kind)))) continue;
    const hitUsers = new Set(hit.map(({ externalUserId }) => externalUserId));
    for (const [user, ofUser] of byUser) {
      if (hitUsers.has(user)) continue;
      const ending = ofUser
        .map(({ msgid }) => endings.get(msgid))
        .filter((found) => found !== undefined)
        .find(({ said: { at }, endedAt }) => at < moment + SOON_MS && endedAt > moment);
      if (!ending || isTroubled(machine, ending)) continue;
      waits.push(ending.endedAt - Math.max(moment, ending.said.at));
    }
  }
  waits.sort((a, b) => a - b);
  return { waits, p99: waits[Math.ceil(waits.length * 0.99) - 1] ?? null };
}

const isHarmless = (kind: string) => ['replay', 'emptyPage', 'shortPage', 'delay'].includes(kind);

/** Its bridge was slow or failed: the wait says nothing about us. */
function isTroubled(machine: Machine, { by, said, endedAt }: Ending): boolean {
  const tasks = machine.bridge.control.tasks({ user: said.user });
  const running = tasks.filter(({ startedAt }) => startedAt > said.at - 60_000 && startedAt < endedAt);
  return (
    (by !== 'answer' && by !== 'bound') ||
    running.some(({ ack, result, startedAt, endedAt: over }) => {
      const isSlow = over === null || over - startedAt > 1_500;
      return isSlow && startedAt < endedAt ? true : (ack !== 'accept' && ack !== '') || result === 'error';
    })
  );
}
