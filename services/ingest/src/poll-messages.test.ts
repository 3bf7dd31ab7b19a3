import { describe, expect, test } from '@jest/globals';
import { PermanentError, RetryableError } from '@pipeline/runtime';
import { HOUR_MS, start, stopWaitsFor, until } from '../test/poller-world.ts';
import type { Poller } from './poll-messages.ts';

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
    await stopWaitsFor(mine, published.resolve);
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
