import { describe, expect, test } from '@jest/globals';
import { RetryableError } from '@pipeline/runtime';
import { HOUR_MS, start, stopWaitsFor, until } from '../test/poller-world.ts';

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
    await stopWaitsFor(mine, saved.resolve);
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
