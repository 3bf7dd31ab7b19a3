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

/** The longest last. */
export interface Recovery {
  /** Those that nothing else explains. */
  waits: Wait[];
  /** Also those for a user who had used the allowance up, for WeCom or for a bridge. */
  all: Wait[];
}

/**
 * Only moments count around which nothing else was wrong; kills of other services are not taken for something else. The
 * stretch that must be free of other faults has a fixed length: slow recoveries aren't left out for being slow. Nor does
 * a wait count for the time in which the user's own allowance was spent.
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
  const next = (moment: number, ofUser: readonly Said[]) =>
    ofUser
      .map(({ msgid }) => endings.get(msgid))
      .filter((found) => found !== undefined)
      .find(({ said: { at }, endedAt }) => at < moment + SOON_MS && endedAt > moment);
  const waitOf = ({ said, endedAt }: Ending, moment: number, since: number): Wait => ({
    ms: endedAt - Math.max(moment, since),
    moment,
    said,
  });
  const waits: Wait[] = [];
  const all: Wait[] = [];
  for (const moment of moments) {
    const until = moment + clearMs;
    if (disturbing.some(({ from, to }) => from < until && to > moment - clearMs)) continue;
    for (const ofUser of byUser.values()) {
      const ending = next(moment, ofUser);
      if (ending) all.push(waitOf(ending, moment, ending.said.at));
    }
    // WeCom fails one call in twenty: users whose own calls it failed waited for that, and all did if sync_msg hung.
    const hit = hits.filter(({ at }) => at > moment - clearMs && at < until);
    if (hit.some(({ api, kinds }) => api === 'sync_msg' && kinds.some(isSlow))) continue;
    const hitUsers = new Set(hit.map(({ externalUserId }) => externalUserId));
    for (const [user, ofUser] of byUser) {
      if (hitUsers.has(user)) continue;
      const ending = next(moment, ofUser);
      if (!ending || isTroubled(machine, ending)) continue;
      const since = payableSince(machine, ending, ofUser);
      if (since < moment + SOON_MS) waits.push(waitOf(ending, moment, since));
    }
  }
  for (const list of [waits, all]) list.sort((a, b) => a.ms - b.ms);
  return { waits, all };
}

/** The wait that only one in a hundred (`share` 0.99) exceeds. */
export function percentile(waits: readonly Wait[], share: number): number | null {
  return waits[Math.ceil(waits.length * share) - 1]?.ms ?? null;
}

/** When its message was written; had WeCom's five sends been used up since, then when the user wrote again. */
function payableSince(machine: Machine, { said, sent, endedAt }: Ending, ofUser: readonly Said[]): number {
  const before = machine.wecom.control.sent({ user: said.user }).filter(({ seq }) => seq < sent.seq);
  const last = before.findLast(({ remaining }) => remaining === 0)?.acceptedAt ?? 0;
  return last < said.at ? said.at : (ofUser.find(({ at }) => at > last)?.at ?? endedAt);
}

/** The others cost ingest a fraction of a second. */
const isSlow = (kind: string) => kind === 'delay' || kind === 'hang';

/** Its bridge was slow or failed, or WeCom failed what it had accepted: that says nothing about us. */
function isTroubled(machine: Machine, { by, said, endedAt, sent }: Ending): boolean {
  const since = machine.wecom.control.sent({ user: said.user }).filter(({ acceptedAt }) => acceptedAt > said.at);
  if (since.some(({ failType, seq }) => failType !== undefined && seq < sent.seq)) return true;
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
