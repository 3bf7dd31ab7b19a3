// How many calls a quota leaves now. Pure: what all processes together were granted lies in slots of time.

export interface QuotaState {
  /** Calls granted, by the slot's begin (epoch ms); only slots that still count. */
  minute: Slot[];
  hour: Slot[];
  /** WeCom has refused: nobody calls before. Epoch ms. */
  closedUntil: number;
}
export type Slot = [begin: number, calls: number];

export interface QuotaLimits {
  perMinute: number;
  perHour: number;
}

/** A granted block is used within this time or given back. */
export const BLOCK_MS = 1_000;

const WINDOWS = {
  minute: { spanMs: 60_000, slotMs: 1_000, limit: ({ perMinute }: QuotaLimits) => perMinute },
  hour: { spanMs: 3_600_000, slotMs: 60_000, limit: ({ perHour }: QuotaLimits) => perHour },
} as const;
type WindowName = keyof typeof WINDOWS;
const NAMES = ['minute', 'hour'] as const;

export const emptyQuota: QuotaState = { minute: [], hour: [], closedUntil: 0 };

/** When a slot counts no more. WeCom's windows may lie anywhere, and a call comes up to a block's time after its grant. */
const endOf = (name: WindowName, begin: number): number =>
  begin + WINDOWS[name].spanMs + WINDOWS[name].slotMs + BLOCK_MS;

function addCalls(state: QuotaState, at: number, calls: number): QuotaState {
  const added = (name: WindowName): Slot[] => {
    const begin = at - (at % WINDOWS[name].slotMs);
    const others = state[name].filter(([slot]) => slot !== begin);
    const before = state[name].find(([slot]) => slot === begin)?.[1] ?? 0;
    const slot: Slot[] = before + calls > 0 ? [[begin, before + calls]] : [];
    return [...others, ...slot].sort(([a], [b]) => a - b);
  };
  return { ...state, minute: added('minute'), hour: added('hour') };
}

/**
 * Up to `wanted` calls, so that no span of a minute or an hour ever holds more than its limit.
 * @param now epoch ms, the same clock for all who share the state
 * @param unused of an earlier grant
 * @returns `waitMs`: with nothing granted, when to ask again; else 0
 */
export function grantCalls(
  before: QuotaState,
  request: { wanted: number; now: number; limits: QuotaLimits; unused?: { grantedAt: number; calls: number } },
): { state: QuotaState; granted: number; waitMs: number } {
  const { wanted, now, limits, unused } = request;
  const returned = unused ? addCalls(before, unused.grantedAt, -unused.calls) : before;
  const live = (name: WindowName) => returned[name].filter(([begin]) => now < endOf(name, begin));
  const state: QuotaState = { ...returned, minute: live('minute'), hour: live('hour') };
  if (now < state.closedUntil) return { state, granted: 0, waitMs: state.closedUntil - now };
  const room = (name: WindowName) =>
    WINDOWS[name].limit(limits) - state[name].reduce((sum, [, calls]) => sum + calls, 0);
  const granted = Math.max(0, Math.min(wanted, room('minute'), room('hour')));
  if (granted > 0) return { state: addCalls(state, now, granted), granted, waitMs: 0 };
  const waits = NAMES.filter((name) => room(name) <= 0).map((name) => endOf(name, state[name][0]?.[0] ?? now) - now);
  return { state, granted: 0, waitMs: Math.max(...waits) };
}
