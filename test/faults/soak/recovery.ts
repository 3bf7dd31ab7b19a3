// Soak ─▶ how long users waited for their next answer after a service was killed or the broker had come back.
import type { Happened } from './inject.ts';
import type { Machine } from './machine.ts';
import type { Said } from './users.ts';
import type { Ending } from './verdict.ts';

/** A user is affected who had a message open at that moment, or wrote so soon after it. */
const SOON_MS = 1_000;

export interface Wait {
  ms: number;
  /** Epoch ms of the kill or return. */
  moment: number;
  said: Said;
}

export interface Recovery {
  /** The longest last. */
  waits: Wait[];
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
  const waits: Wait[] = [];
  for (const moment of moments) {
    const until = moment + clearMs;
    if (disturbing.some(({ from, to }) => from < until && to > moment - clearMs)) continue;
    // WeCom fails one call in twenty: users whose own calls it failed waited for that, and all did if sync_msg hung.
    const hit = hits.filter(({ at }) => at > moment - clearMs && at < until);
    if (hit.some(({ api, kinds }) => api === 'sync_msg' && kinds.some(isSlow))) continue;
    const hitUsers = new Set(hit.map(({ externalUserId }) => externalUserId));
    for (const [user, ofUser] of byUser) {
      if (hitUsers.has(user)) continue;
      const ending = ofUser
        .map(({ msgid }) => endings.get(msgid))
        .filter((found) => found !== undefined)
        .find(({ said: { at }, endedAt }) => at < moment + SOON_MS && endedAt > moment);
      if (!ending || isTroubled(machine, ending)) continue;
      waits.push({ ms: ending.endedAt - Math.max(moment, ending.said.at), moment, said: ending.said });
    }
  }
  waits.sort((a, b) => a.ms - b.ms);
  return { waits, p99: waits[Math.ceil(waits.length * 0.99) - 1]?.ms ?? null };
}

/** The others cost ingest a fraction of a second. */
const isSlow = (kind: string) => kind === 'delay' || kind === 'hang';

/** Its bridge was slow or failed, or it waited for the user's next message to pay for it: that says nothing about us. */
function isTroubled(machine: Machine, { by, said, endedAt, sent }: Ending): boolean {
  const since = machine.wecom.control.sent({ user: said.user }).filter(({ acceptedAt }) => acceptedAt > said.at);
  const before = since.findLast(({ seq }) => seq < sent.seq);
  if (before?.remaining === 0 || since.some(({ failType, seq }) => failType !== undefined && seq < sent.seq))
    return true;
  const tasks = machine.bridge.control.tasks({ user: said.user });
  const running = tasks.filter(({ startedAt }) => startedAt > said.at - 60_000 && startedAt < endedAt);
  return (
    (by !== 'answer' && by !== 'bound') ||
    running.some(({ ack, result, startedAt, endedAt: over }) => {
      const tookLong = over === null || over - startedAt > 1_500;
      return tookLong && startedAt < endedAt ? true : (ack !== 'accept' && ack !== '') || result === 'error';
    })
  );
}
