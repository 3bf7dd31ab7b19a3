import { describe, expect, test } from '@jest/globals';
import type { OutgoingMessage } from '@pipeline/contracts';
import { createLogger, createMetrics, PermanentError, RetryableError } from '@pipeline/runtime';
import { eventually } from '../../../test/support/eventually.ts';
import { createPublishItem } from './publish-item.ts';
import { createPublishPage, type Page } from './publish-page.ts';

type Publish = (exchange: string, routingKey: string, message: OutgoingMessage) => Promise<void>;

/** A page publisher whose broker is `publish`, and everything that it did, in order. */
function setUp(options: { publish?: Publish; isClaimed?: boolean; deaths?: Record<string, number> } = {}) {
  const done: string[] = [];
  const kept: { messageId: string; body: unknown; code: string }[] = [];
  const counts = new Map(Object.entries(options.deaths ?? {}));
  const publishItem = createPublishItem({
    publisher: {
      async publish(exchange, routingKey, message) {
        await options.publish?.(exchange, routingKey, message);
        done.push(`${exchange} ${message.messageId}`);
      },
    },
    claimCode: async ({ msgId }) => {
      done.push(`claim ${msgId}`);
      return options.isClaimed ? 'claimed' : null;
    },
  });
  const publishPage = createPublishPage({
    publishItem,
    deadLetters: {
      keep: async ({ origin, body, code }) => void kept.push({ messageId: origin.messageId, body, code }),
    },
    poisonCounts: {
      raise: async (_service: string, id: string) => {
        counts.set(id, (counts.get(id) ?? 0) + 1);
        return counts.get(id) ?? 0;
      },
      clear: async (_service: string, id: string) => void counts.delete(id),
    } as never,
    now: () => 5_000_000,
    logger: createLogger({ service: 'ingest', level: 'silent' }),
    metrics: createMetrics('ingest'),
  });
  const run = (items: unknown[], more: Partial<Page> = {}) =>
    publishPage({
      openKfId: 'wk1',
      items,
      receivedAt: 5_000_000,
      notBefore: 0,
      isSuspect: false,
      signal: new AbortController().signal,
      ...more,
    });
  return { done, kept, counts, run };
}

const message = (msgid: string, user = 'a', content = 'hello') => ({
  msgid,
  origin: 3,
  external_userid: user,
  send_time: 4_999,
  msgtype: 'text',
  text: { content },
});

describe('a page', () => {
  test('goes to the router, item by item', async () => {
    const { done, run } = setUp();
    expect(await run([message('m1'), message('m2')])).toEqual({ message: 2 });
    expect(done).toEqual(['router.mailboxes m1', 'router.mailboxes m2']);
  });

  test.each([' \n', '继续'])(
    'tells the sender first of what the router says nothing about, or not at once: %j',
    async (text) => {
      const { done, run } = setUp();
      await run([message('m1', 'a', text)]);
      expect(done).toEqual(['sender.mailboxes m1', 'router.mailboxes m1']);
    },
  );

  test('a code is claimed before anybody hears of it, and matched after the router has the item', async () => {
    const { done, run } = setUp({ isClaimed: true });
    await run([message('m1', 'a', 'abc123')]);
    expect(done).toEqual(['claim m1', 'sender.mailboxes m1', 'router.mailboxes m1', 'binder m1:matched']);
  });

  test('one user’s slow queue delays nobody else', async () => {
    let release = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const { done, run } = setUp({ publish: async (_exchange, key) => (key === 'wk1:slow' ? held : undefined) });
    const running = run([message('s1', 'slow'), message('m1', 'a'), message('s2', 'slow'), message('m2', 'b')]);
    await eventually('the others are through', () => done.length === 2);
    expect(done.filter((line) => / s/.test(line))).toEqual([]);
    release();
    await running;
    expect(done.filter((line) => line.startsWith('router') && / s/.test(line))).toEqual([
      'router.mailboxes s1',
      'router.mailboxes s2',
    ]);
  });

  test.each([
    new RetryableError('publish-refused', 'a queue is full'),
    new PermanentError('publish-unroutable', 'no queue'),
  ])('that can’t be published fails, with nothing of a user behind what wasn’t: %s', async (error) => {
    const { done, kept, run } = setUp({
      publish: async (_exchange, _key, { messageId }) => {
        if (messageId === 'm2') throw error;
      },
    });
    await expect(run([message('m1'), message('m2'), message('m3')])).rejects.toBe(error);
    expect(done).toEqual(['router.mailboxes m1']);
    expect(kept).toEqual([]);
  });

  test('goes on behind an item on which we fail ourselves, which is kept as it came', async () => {
    const { kept, run } = setUp({
      publish: async (_exchange, _key, { messageId }) => {
        if (messageId === 'm1') throw new TypeError('a bug');
      },
    });
    expect(await run([message('m1'), message('m2')])).toEqual({ given_up: 1, message: 1 });
    expect(kept).toEqual([{ messageId: 'm1', body: JSON.stringify(message('m1')), code: 'unexpected' }]);
  });

  test('is abandoned at the next item when the process stops', async () => {
    const stop = new AbortController();
    const { done, run } = setUp({ publish: async () => stop.abort() });
    await expect(run([message('m1'), message('m2')], { signal: stop.signal })).rejects.toMatchObject({
      code: 'page-abandoned',
    });
    expect(done).toEqual(['router.mailboxes m1']);
  });

  test('with nothing in it that concerns a user is done at once', async () => {
    const { done, run } = setUp();
    expect(await run([null, 7, { msgid: 'e', origin: 4, event: { event_type: 'x' } }])).toEqual({
      malformed: 2,
      event: 1,
    });
    expect(done).toEqual([]);
  });
});

describe('a page over which the process has died', () => {
  test('is published item by item, and the one that was under way at three deaths is given up', async () => {
    const { done, kept, counts, run } = setUp({ deaths: { m2: 3, m3: 2 } });
    expect(await run([message('m1', 'a'), message('m2', 'b'), message('m3', 'c')], { isSuspect: true })).toEqual({
      message: 2,
      given_up: 1,
    });
    expect(done.filter((line) => line.startsWith('router'))).toEqual(['router.mailboxes m1', 'router.mailboxes m3']);
    expect(kept).toMatchObject([{ messageId: 'm2', code: 'item-deadly' }]);
    expect([...counts.keys()]).toEqual(['m2']);
  });
});
