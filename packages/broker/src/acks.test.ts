import { afterEach, beforeEach, expect, jest, test } from '@jest/globals';
import { createAcks } from './acks.ts';

/** Longer than a rest. */
const LONG_MS = 1_000;

beforeEach(() => void jest.useFakeTimers());
afterEach(() => void jest.useRealTimers());

/** A channel that has delivered some messages. */
function setUp(delivered: number, { prefetch = 100, isClosing = false } = {}) {
  const sent: string[] = [];
  const channel = {
    ack({ fields }: { fields: { deliveryTag: number } }, allUpTo: boolean) {
      if (isClosing) throw new Error('Channel closing');
      sent.push(`${allUpTo ? 'up to ' : ''}${fields.deliveryTag}`);
    },
  };
  const acks = createAcks(channel, prefetch);
  const tagged = (deliveryTag: number) => ({ fields: { deliveryTag } });
  for (let tag = 1; tag <= delivered; tag++) acks.delivered(tagged(tag));
  const ack = (...tags: number[]) => {
    for (const tag of tags) acks.ack(tagged(tag), false);
  };
  const settleUrgently = (tag: number) => acks.ack(tagged(tag), true);
  return { sent, acks, ack, settleUrgently };
}

test('what is settled within a moment is acked at once, in whatever order', () => {
  const { sent, ack } = setUp(5);
  ack(3, 1);
  jest.advanceTimersByTime(10);
  ack(2, 4);
  expect(sent).toEqual([]);
  jest.advanceTimersByTime(LONG_MS);
  expect(sent).toEqual(['up to 4']);
  expect(jest.getTimerCount()).toBe(0);
});

test('nothing that is not settled is ever acked, and what is settled behind it does not wait for it', () => {
  const { sent, ack } = setUp(6);
  ack(1, 2, 4, 6);
  jest.advanceTimersByTime(LONG_MS);
  expect(sent.splice(0)).toEqual(['up to 2', '4', '6']);
  ack(5);
  jest.advanceTimersByTime(LONG_MS);
  expect(sent.splice(0)).toEqual(['5']);
});

test('a delivery tag is acked only once: the broker closes the channel of whoever names an unknown one', () => {
  const { sent, acks, ack } = setUp(4);
  ack(2, 4);
  acks.flush();
  ack(1);
  acks.flush();
  ack(3);
  acks.flush();
  acks.flush();
  expect(sent).toEqual(['2', '4', 'up to 1', 'up to 3']);
});

test('a quarter of the prefetch does not rest: the broker goes on delivering', () => {
  const { sent, ack } = setUp(8, { prefetch: 16 });
  ack(1, 2, 3);
  expect(sent).toEqual([]);
  ack(4, 5);
  expect(sent).toEqual(['up to 4']);
});

test('a single delivery at a time is acked at once', () => {
  const { sent, ack } = setUp(2, { prefetch: 1 });
  ack(1);
  ack(2);
  expect(sent).toEqual(['up to 1', 'up to 2']);
});

test('an urgent one takes along what rests', () => {
  const { sent, ack, settleUrgently } = setUp(3);
  ack(1);
  settleUrgently(2);
  expect(sent).toEqual(['up to 2']);
  expect(jest.getTimerCount()).toBe(0);
});

test('what rests when the channel goes is never acked', () => {
  const { sent, acks, ack } = setUp(3);
  ack(1, 3);
  acks.end();
  jest.advanceTimersByTime(LONG_MS);
  acks.flush();
  expect(sent).toEqual([]);
});

test('a channel that takes no more acks harms nobody', () => {
  const { ack, sent } = setUp(1, { isClosing: true });
  ack(1);
  jest.advanceTimersByTime(LONG_MS);
  expect(sent).toEqual([]);
});
