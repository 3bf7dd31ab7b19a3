// A poller between a WeCom, a broker and a database in memory, for its unit tests.
import { afterEach, expect } from '@jest/globals';
import { createLogger, createMetrics } from '@pipeline/runtime';
import type { SyncPage } from '@pipeline/wecom';
import { eventually } from '../../../test/support/eventually.ts';
import { createPoller, createPollMetrics, type Poller } from '../src/poll-messages.ts';
import type { Page } from '../src/publish-page.ts';

export const HOUR_MS = 3_600_000;
let poller: Poller | undefined;
afterEach(() => poller?.stop());

interface Parts {
  /** Answers of sync_msg, one after another; then empty pages at the last cursor. */
  pages?: (Partial<SyncPage> | Error)[];
  publish?: (page: Page) => Promise<void>;
  save?: () => Promise<void>;
  answered?: Promise<void>;
  isHeld?: () => boolean;
  serversProblem?: () => string | null;
  cursor?: string;
  starts?: number;
  idleMs?: number;
}

/** A poller on a WeCom, a broker and a database in memory; stopped after the test. */
export function start(parts: Parts = {}) {
  const asked: { cursor?: string; token?: string }[] = [];
  const published: unknown[][] = [];
  const suspects: boolean[] = [];
  const account = { cursor: parts.cursor, firstStartedAt: 1_000_000 };
  let starts = parts.starts ?? 0;
  let opened = 0;
  const script = [...(parts.pages ?? [])];
  poller = createPoller({
    openKfId: 'wk1',
    async syncMsg({ cursor, token }) {
      asked.push({ ...(cursor !== undefined && { cursor }), ...(token !== undefined && { token }) });
      await parts.answered;
      const next = script.shift() ?? {};
      if (next instanceof Error) throw next;
      return { items: [], nextCursor: cursor ?? '', hasMore: false, isTokenRefused: false, ...next };
    },
    async publishPage(page) {
      await parts.publish?.(page);
      suspects.push(page.isSuspect);
      published.push([...page.items]);
      return {};
    },
    cursors: {
      async open(_id) {
        opened++;
        return {
          _id: 'wk1',
          firstStartedAt: account.firstStartedAt,
          ...(account.cursor && { cursor: account.cursor }),
        };
      },
      async advance(_id, from, to) {
        await parts.save?.();
        if ((account.cursor ?? null) !== from) return false;
        account.cursor = to;
        return true;
      },
    },
    poisonCounts: {
      raise: async () => ++starts,
      clear: async () => {
        starts = 0;
      },
    } as never,
    lease: {
      isHeld: parts.isHeld ?? (() => true),
      isElsewhere: () => parts.isHeld?.() === false,
      stop: async () => {},
    },
    serversProblem: parts.serversProblem ?? (() => null),
    now: () => 2_000_000,
    intervals: {
      activeMs: parts.idleMs ?? 5,
      idleMs: parts.idleMs ?? 5,
      idleThresholdMs: 1,
      errorMs: 5,
      errorMaxMs: 5,
    },
    maxAgeMs: 600_000,
    logger: createLogger({ service: 'ingest', level: 'silent' }),
    metrics: createPollMetrics(createMetrics('ingest')),
  });
  poller.start();
  return { asked, published, suspects, account, starts: () => starts, opened: () => opened, poller };
}

export const until = (condition: () => boolean) => eventually(String(condition), condition, { everyMs: 2 });

/** Stops a poller and holds that its stop doesn't end before this. */
export async function stopWaitsFor(stopped: Poller, release: () => void) {
  let isStopped = false;
  const stopping = stopped.stop().then(() => {
    isStopped = true;
  });
  await new Promise(setImmediate);
  expect(isStopped).toBe(false);
  release();
  await stopping;
}
