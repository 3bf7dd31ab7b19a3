// WeCom ─▶ ingest: the polling consumer of one KF account. The cursor moves only once its page is on the broker.
import {
  describeError,
  errorCode,
  errorFields,
  type Logger,
  type Metrics,
  RetryableError,
  sleep,
  waitAtMost,
} from '@pipeline/runtime';
import type { Store, SyncCursor } from '@pipeline/store';
import type { WecomClient } from '@pipeline/wecom';
import type { LeaseHolder } from './hold-lease.ts';
import { afterPoll, noHistory, type PollIntervals, type PollOutcome } from './poll-interval.ts';
import type { PublishPage } from './publish-page.ts';
import { type Refusal, refusalOf } from './wecom-refusal.ts';

const PAGE_LIMIT = 1000;
const STAND_BY_MS = 250;
const AWAIT_SERVERS_MS = 100;
const FINISH_PAGE_MS = 2_000;
const ABANDON_PAGE_MS = 1_000;
const SUSPECT_STARTS = 3;
/** How long WeCom takes the token of a notification (path/94670). */
const RING_TOKEN_LIFE_MS = 600_000;

export interface Poller {
  start(): void;
  /** Finishes the page under way or, after 2 s, abandons it: it will be read again. */
  stop(): Promise<void>;
  /** Polls at once instead of at the end of the interval. `token` is the doorbell's, for sync_msg. */
  ring(token?: string): void;
  /**
   * What somebody has to mend, or null: a stand-by has nothing to mend, nor has WeCom's being away; but until the first
   * poll is answered nobody knows whether WeCom takes our settings.
   */
  problem(): string | null;
  /** `polling`, `stand-by`, or what it waits for. */
  state(): string;
}

/** Once for all accounts. */
export const createPollMetrics = (metrics: Metrics) => ({
  polls: metrics.counter('ingest_polls_total', 'Calls of sync_msg', ['outcome']),
  pageItems: metrics.gauge('ingest_page_items', 'Items of the last page that held any'),
});
export type PollMetrics = ReturnType<typeof createPollMetrics>;

export function createPoller(deps: {
  openKfId: string;
  syncMsg: WecomClient['syncMsg'];
  publishPage: PublishPage;
  cursors: Pick<Store['syncCursors'], 'open' | 'advance'>;
  poisonCounts: Pick<Store['poisonCounts'], 'raise' | 'clear'>;
  lease: Pick<LeaseHolder, 'isHeld' | 'isElsewhere' | 'stop'>;
  /** Why broker or database can't be used now, or null. */
  serversProblem: () => string | null;
  /** Epoch ms, database clock. */
  now: () => number;
  intervals: PollIntervals;
  maxAgeMs: number;
  logger: Logger;
  metrics: PollMetrics;
}): Poller {
  const { openKfId, cursors, poisonCounts, lease, now, intervals, logger } = deps;
  const { polls, pageItems } = deps.metrics;
  const stopping = new AbortController();
  const abandoning = new AbortController();
  let waking = new AbortController();
  let polling: Promise<void> = Promise.resolve();
  let history = noHistory;
  let state = 'starting';
  let problem: string | null = null;
  let unanswered: string | null = 'the first poll is not answered yet';
  let isRung = false;
  let ringToken: { value: string; until: number } | undefined;
  /** The cursor that this process found at its start, until its page is published. */
  let firstCursor: { key: string; starts: number } | null | undefined;

  /** As we left it after the last page: saves reading it while the lease is ours. A stale one only reads a page again. */
  let leftAt: SyncCursor | null = null;
  /** Saves where the last page ended, while the next is asked for. False: another puller had moved the cursor. */
  let saving: Promise<boolean> = Promise.resolve(true);

  // A process that dies over a page comes back to it: that shows in how often a start has found the same cursor.
  const countStart = async (cursor: string | undefined): Promise<number> => {
    const key = `page:${openKfId}:${cursor ?? ''}`;
    firstCursor ??= { key, starts: await poisonCounts.raise('ingest', key) };
    return firstCursor.starts;
  };

  const whereToRead = async (): Promise<SyncCursor> => {
    const known = leftAt;
    leftAt = null;
    if (known) return known;
    await saving.catch(() => {}); // whatever became of it: it is read now
    saving = Promise.resolve(true);
    return cursors.open(openKfId, Math.round(now()));
  };

  const savePlace = (from: string | undefined, to: string) => {
    saving = cursors.advance(openKfId, from ?? null, to);
    saving.catch(() => {}); // told to whoever awaits it
  };

  const readPage = async (): Promise<PollOutcome> => {
    const startedAt = performance.now();
    const place = await whereToRead();
    const { cursor, firstStartedAt } = place;
    const starts = firstCursor === null ? 0 : await countStart(cursor);
    const token = ringToken && performance.now() < ringToken.until ? ringToken : undefined;
    const { items, nextCursor, hasMore, isTokenRefused } = await deps.syncMsg({
      openKfId,
      limit: PAGE_LIMIT,
      ...(cursor !== undefined && { cursor }),
      ...(token && { token: token.value }),
    });
    // Good for all pages up to the last one. Another ring may have brought a newer one meanwhile.
    if ((isTokenRefused || !hasMore) && ringToken === token) ringToken = undefined;
    unanswered = null;
    if (!(await saving)) {
      logger.info({ openKfId }, 'cursor.overtaken'); // by another puller, with the same page
      return { kind: 'page', itemCount: 0, hasMore: true, isMoved: true };
    }
    if (stopping.signal.aborted) throw new RetryableError('page-abandoned', 'stopped before publishing a page');
    const kinds = await deps.publishPage({
      openKfId,
      items,
      receivedAt: Math.round(now()),
      notBefore: firstStartedAt - deps.maxAgeMs,
      isSuspect: starts > SUSPECT_STARTS,
      signal: abandoning.signal,
    });
    const isMoved = nextCursor !== '' && nextCursor !== cursor;
    if (isMoved) savePlace(cursor, nextCursor);
    leftAt = isMoved ? { ...place, cursor: nextCursor } : place;
    if (firstCursor) {
      await saving;
      await poisonCounts.clear('ingest', firstCursor.key);
    }
    firstCursor = null;
    if (items.length > 0) {
      pageItems.set(items.length);
      const durationMs = Math.round(performance.now() - startedAt);
      logger.info({ openKfId, items: items.length, kinds, hasMore, durationMs }, 'page.published');
    }
    return { kind: 'page', itemCount: items.length, hasMore, isMoved };
  };

  const poll = async (): Promise<PollOutcome> => {
    try {
      const outcome = await readPage();
      problem = null;
      polls.inc({ outcome: 'ok' });
      return outcome;
    } catch (error) {
      polls.inc({ outcome: errorCode(error) });
      const refusal = refusalOf(error);
      return refusal ? refused(error, refusal) : failed(error);
    }
  };

  const refused = (error: unknown, refusal: Refusal): PollOutcome => {
    const { errcode, retryAfterMs, isBarred, hint } = refusal;
    logger[hint ? 'error' : 'warn']({ ...errorFields(error), openKfId, errcode }, 'poll.refused');
    problem = hint;
    if (unanswered !== null) unanswered = `no poll is answered yet: ${describeError(error)}`;
    state = `waiting after ${errorCode(error)}`;
    return isBarred ? { kind: 'barred' } : { kind: 'refused', retryAfterMs };
  };

  const failed = (error: unknown): PollOutcome => {
    const code = errorCode(error);
    if (code === 'page-abandoned') return { kind: 'away' };
    const passes = error instanceof RetryableError;
    logger[passes ? 'warn' : 'error']({ ...errorFields(error), openKfId }, 'poll.failed');
    problem = passes ? null : `a page can't be published (${code}), see the log`;
    return passes || code === 'publish-unroutable' ? { kind: 'away' } : { kind: 'refused', retryAfterMs: null };
  };

  const run = async () => {
    const { signal } = stopping;
    while (!signal.aborted) {
      const away = deps.serversProblem();
      if (!lease.isHeld() || away !== null) {
        state = away ?? (lease.isElsewhere() ? 'stand-by' : 'asking for the lease');
        problem = null;
        leftAt = null;
        await sleep(away === null ? STAND_BY_MS : AWAIT_SERVERS_MS, signal);
        continue;
      }
      state = 'polling';
      isRung = false;
      waking = new AbortController();
      const outcome = await poll();
      const next = afterPoll(history, outcome, performance.now(), intervals);
      history = next.history;
      if (outcome.kind === 'barred') {
        state = 'not polling';
        // Another replica may have the right settings.
        void lease.stop();
        return;
      }
      // Whoever rang while the page was under way may mean something behind it. An error's pause is nobody's to end.
      if (outcome.kind === 'page') {
        if (!isRung) await sleep(next.waitMs, AbortSignal.any([signal, waking.signal]));
      } else await sleep(next.waitMs, signal);
    }
  };

  return {
    start() {
      polling = run();
    },
    async stop() {
      stopping.abort();
      await waitAtMost(FINISH_PAGE_MS, polling);
      abandoning.abort();
      const saved = polling.then(() => saving.catch(() => {}));
      await waitAtMost(ABANDON_PAGE_MS, saved);
    },
    ring(token) {
      isRung = true;
      if (token !== undefined) ringToken = { value: token, until: performance.now() + RING_TOKEN_LIFE_MS };
      waking.abort();
    },
    problem: () => problem ?? (lease.isElsewhere() ? null : unanswered),
    state: () => state,
  };
}
