// ingest: when to ask WeCom again. Pure: what happened and when come in as values.

/** All in ms. */
export interface PollIntervals {
  activeMs: number;
  idleMs: number;
  /** For how long after the last items polling stays active. */
  idleThresholdMs: number;
  errorMs: number;
  errorMaxMs: number;
}

export type PollOutcome =
  /** `isMoved`: the cursor is another one than before. */
  | { kind: 'page'; itemCount: number; hasMore: boolean; isMoved: boolean }
  /** WeCom refused or didn't answer. `retryAfterMs` where the error itself says how long. */
  | { kind: 'refused'; retryAfterMs: number | null }
  /** Broker or database: the page comes again. */
  | { kind: 'away' }
  /** WeCom wants no further request until somebody has mended the configuration. */
  | { kind: 'barred' };

export interface PollHistory {
  /** When the last poll that brought items ended, by the clock that `now` is read from. */
  lastItemsAt: number | null;
  refusalsInRow: number;
  /** Pages in a row that promised more but led nowhere. */
  stuckPagesInRow: number;
}

export const noHistory: PollHistory = { lastItemsAt: null, refusalsInRow: 0, stuckPagesInRow: 0 };

const AWAY_MS = 500;
// An empty page with has_more is normal; a row of them without a new cursor would be a busy loop.
const MAX_STUCK_PAGES = 10;

/** What to remember, and how long to wait before the next poll (Infinity: for ever). */
export function afterPoll(
  history: PollHistory,
  outcome: PollOutcome,
  now: number,
  intervals: PollIntervals,
): { history: PollHistory; waitMs: number } {
  if (outcome.kind === 'away') return { history, waitMs: AWAY_MS };
  if (outcome.kind === 'barred') return { history, waitMs: Number.POSITIVE_INFINITY };
  if (outcome.kind === 'refused') {
    const { errorMs, errorMaxMs } = intervals;
    const backoffMs = Math.min(errorMaxMs, errorMs * 2 ** Math.min(history.refusalsInRow, 30));
    return {
      history: { ...history, refusalsInRow: history.refusalsInRow + 1 },
      waitMs: outcome.retryAfterMs ?? backoffMs,
    };
  }
  const lastItemsAt = outcome.itemCount > 0 ? now : history.lastItemsAt;
  const isStuck = outcome.hasMore && !outcome.isMoved;
  const stuckPagesInRow = isStuck ? history.stuckPagesInRow + 1 : 0;
  const isActive = lastItemsAt !== null && now - lastItemsAt <= intervals.idleThresholdMs;
  const isMoreAtOnce = outcome.hasMore && stuckPagesInRow <= MAX_STUCK_PAGES;
  return {
    history: { lastItemsAt, refusalsInRow: 0, stuckPagesInRow },
    waitMs: isMoreAtOnce ? 0 : isActive ? intervals.activeMs : intervals.idleMs,
  };
}
