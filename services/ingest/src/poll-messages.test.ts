import { afterEach, describe, expect, test } from '@jest/globals';
import { createLogger, createMetrics, PermanentError, RetryableError } from '@pipeline/runtime';
import type { SyncPage } from '@pipeline/wecom';
import { eventually } from '../../../test/support/eventually.ts';
import { createPoller, createPollMetrics, type Poller } from './poll-messages.ts';
import type { Page } from './publish-page.ts';

const HOUR_MS = 3_600_000;
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

function start(parts: Parts = {}) {
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

const until = (condition: () => boolean) => eventually(String(condition), condition, { everyMs: 2 });

describe('the cursor', () => {
  test('moves only after its page is published, and each page is read from there', async () => {
    const cursors: (string | undefined)[] = [];
    const { asked, account, published } = start({
      pages: [
        { items: [1], nextCursor: 'c1', hasMore: true },
        { items: [2], nextCursor: 'c2' },
      ],
      publish: async () => void cursors.push(account.cursor),
    });
    await until(() => published.length >= 3);
    expect(cursors.slice(0, 3)).toEqual([undefined, 'c1', 'c2']);
    expect(asked.slice(0, 3)).toEqual([{}, { cursor: 'c1' }, { cursor: 'c2' }]);
    expect(published.slice(0, 2)).toEqual([[1], [2]]);
  });

  test('stays while its page can’t be published, and the page is read again within a second', async () => {
    let failures = 2;
    const { asked, account, published } = start({
      pages: [
        { items: [1], nextCursor: 'c1' },
        { items: [1], nextCursor: 'c1' },
        { items: [1], nextCursor: 'c1' },
      ],
      publish: async () => {
        if (failures-- > 0) throw new RetryableError('publish-refused', 'a queue is full');
      },
    });
    await until(() => published.length > 0);
    expect(asked.slice(0, 3)).toEqual([{}, {}, {}]);
    await until(() => account.cursor === 'c1');
  });

  test('stays where it is when WeCom names none', async () => {
    const { asked, published } = start({ cursor: 'c1', pages: [{ items: [1], nextCursor: '' }] });
    await until(() => published.length >= 2);
    expect(asked.slice(0, 2)).toEqual([{ cursor: 'c1' }, { cursor: 'c1' }]);
  });

  test('that another puller has moved is read anew, and nothing published that was read from elsewhere', async () => {
    const { asked, account, published } = start({
      cursor: 'c1',
      pages: [
        { items: [1], nextCursor: 'c2' },
        { items: [2], nextCursor: 'c3' },
      ],
      publish: async ({ items }) => {
        if (items.length > 0) account.cursor = 'c9';
      },
    });
    await until(() => asked.length >= 3 && published.length >= 2);
    expect(asked.slice(0, 3)).toEqual([{ cursor: 'c1' }, { cursor: 'c2' }, { cursor: 'c9' }]);
    expect(published.slice(0, 2)).toEqual([[1], []]);
  });

  test('that can’t be saved is read anew', async () => {
    let failures = 1;
    const { asked, account, published } = start({
      pages: [
        { items: [1], nextCursor: 'c1' },
        { items: [2], nextCursor: 'c2' },
        { items: [1, 2], nextCursor: 'c2' },
      ],
      save: async () => {
        if (failures-- > 0) throw new RetryableError('store-away', 'MongoDB is unreachable');
      },
    });
    await until(() => account.cursor === 'c2');
    expect(asked.slice(0, 3)).toEqual([{}, { cursor: 'c1' }, {}]);
    expect(published.slice(0, 2)).toEqual([[1], [1, 2]]);
  });

  test('is saved before a stop ends', async () => {
    const saved = Promise.withResolvers<void>();
    const {
      account,
      asked,
      poller: mine,
    } = start({
      idleMs: HOUR_MS,
      pages: [{ items: [1], nextCursor: 'c1' }],
      save: () => saved.promise,
    });
    await until(() => asked.length === 1);
    let isStopped = false;
    const stopping = mine.stop().then(() => {
      isStopped = true;
    });
    await new Promise(setImmediate);
    expect(isStopped).toBe(false);
    saved.resolve();
    await stopping;
    expect(account.cursor).toBe('c1');
  });
});

describe('where the last page ended', () => {
  test('is known without a look', async () => {
    const { asked, opened } = start({ pages: [{ items: [1], nextCursor: 'c1' }] });
    await until(() => asked.length >= 3);
    expect(asked.slice(0, 3)).toEqual([{}, { cursor: 'c1' }, { cursor: 'c1' }]);
    expect(opened()).toBe(1);
  });

  test('is looked up again after the lease was away', async () => {
    let isHeld = true;
    const { asked, account, poller: mine } = start({ cursor: 'c1', isHeld: () => isHeld });
    await until(() => asked.length > 0);
    isHeld = false;
    await until(() => mine.state() === 'stand-by');
    const before = asked.length;
    account.cursor = 'c9';
    isHeld = true;
    await until(() => asked.length > before);
    expect(asked[before]).toEqual({ cursor: 'c9' });
  });
});

describe('polling', () => {
  test('passes on what is too old to be answered', async () => {
    let notBefore = 0;
    const { published } = start({
      publish: async (page) => {
        notBefore = page.notBefore;
      },
    });
    await until(() => published.length > 0);
    expect(notBefore).toBe(1_000_000 - 600_000);
  });

  test('waits without the lease, and while broker or database are away', async () => {
    let isHeld = false;
    let problem: string | null = 'MongoDB is unreachable';
    const { asked, poller: mine } = start({ isHeld: () => isHeld, serversProblem: () => problem });
    expect(mine.state()).toBe('MongoDB is unreachable');
    problem = null;
    await until(() => mine.state() === 'stand-by');
    expect(mine.problem()).toBeNull();
    expect(asked).toEqual([]);
    isHeld = true;
    await until(() => asked.length > 0);
  });

  test('is not known to work before the first answer', async () => {
    let answer = () => {};
    const answered = new Promise<void>((resolve) => {
      answer = resolve;
    });
    const { asked, poller: mine } = start({ answered });
    await until(() => asked.length === 1);
    expect(mine.problem()).toBe('the first poll is not answered yet');
    answer();
    await until(() => mine.problem() === null);
  });

  test('is done at once when the doorbell rings, with the doorbell’s token once', async () => {
    const { asked, poller: mine, published } = start({ idleMs: HOUR_MS });
    await until(() => published.length === 1);
    mine.ring('t1');
    await until(() => published.length === 2);
    mine.ring();
    await until(() => published.length === 3);
    expect(asked).toEqual([{}, { token: 't1' }, {}]);
  });

  test('uses the doorbell’s token for every page up to the last one, or until WeCom refuses it', async () => {
    const { asked, poller: mine } = start({
      idleMs: HOUR_MS,
      pages: [{}, { hasMore: true, nextCursor: 'c1' }, {}, { hasMore: true, isTokenRefused: true, nextCursor: 'c2' }],
    });
    await until(() => asked.length === 1);
    mine.ring('t1');
    await until(() => asked.length === 3);
    mine.ring('t2');
    await until(() => asked.length === 5);
    const tokens = asked.map(({ token }) => token);
    expect(tokens).toEqual([undefined, 't1', 't1', 't2', undefined]);
  });

  test('is done again when the doorbell rings while a page is under way', async () => {
    let mine: Poller | undefined;
    let pages = 0;
    const { published, poller: started } = start({
      idleMs: HOUR_MS,
      publish: async () => {
        if (pages++ === 0) mine?.ring();
      },
    });
    mine = started;
    await until(() => published.length === 2);
  });

  test('says so when a page has nowhere to go, and is ready again once it has', async () => {
    let isRouted = false;
    const { published, poller: mine } = start({
      publish: async () => {
        if (!isRouted) throw new PermanentError('publish-unroutable', 'no queue');
      },
    });
    await until(() => mine.problem()?.includes('publish-unroutable') === true);
    isRouted = true;
    await until(() => published.length > 0);
    await until(() => mine.problem() === null);
  });

  test('stops after the page under way', async () => {
    const begun = Promise.withResolvers<void>();
    const published = Promise.withResolvers<void>();
    const {
      account,
      asked,
      poller: mine,
    } = start({
      pages: [{ items: [1], nextCursor: 'c1' }],
      publish: () => {
        begun.resolve();
        return published.promise;
      },
    });
    await begun.promise;
    let isStopped = false;
    const stopping = mine.stop().then(() => {
      isStopped = true;
    });
    await new Promise(setImmediate);
    expect(isStopped).toBe(false);
    published.resolve();
    await stopping;
    expect(account.cursor).toBe('c1');
    expect(asked).toHaveLength(1);
  });
});

describe('a page over which processes die', () => {
  test('is handled with care by the fourth, until it is done', async () => {
    const { suspects, starts } = start({ starts: 3, pages: [{ items: [1], nextCursor: 'c1' }] });
    await until(() => suspects.length >= 2);
    expect(suspects.slice(0, 2)).toEqual([true, false]);
    expect(starts()).toBe(0);
  });

  test('is counted once a process, however often it is read', async () => {
    let failures = 2;
    const { suspects } = start({
      starts: 1,
      publish: async () => {
        if (failures-- > 0) throw new RetryableError('broker-away', 'not connected');
      },
    });
    await until(() => suspects.length > 0);
    expect(suspects[0]).toBe(false);
  });
});
