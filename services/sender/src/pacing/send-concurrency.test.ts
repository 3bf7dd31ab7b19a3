import { beforeEach, expect, test } from '@jest/globals';
import { WecomRetryableError } from '@pipeline/wecom';
import { createSendConcurrency, type SendConcurrency } from './send-concurrency.ts';

const tooMany = () =>
  new WecomRetryableError({
    ...{ code: 'wecom-45033', message: 'too many', api: 'kf/send_msg', errcode: 45033, class: 'retryable' },
    ...{ isUnanswered: false, retryAfterMs: null },
  });
let now = 0;
let concurrency: SendConcurrency;
/** The sends under way, in the order in which they began. */
let open: { number: number; end(): void; fail(error: Error): void }[];
let failures: unknown[];
beforeEach(() => {
  now = 1_000;
  concurrency = createSendConcurrency(() => now);
  open = [];
  failures = [];
});

const settle = () => new Promise((resolve) => setImmediate(resolve));
const begin = (count: number) => {
  for (let number = 0; number < count; number++) {
    const send = () => new Promise<void>((resolve, reject) => open.push({ number, end: resolve, fail: reject }));
    concurrency.run(send).catch((error) => failures.push(error));
  }
  return settle();
};
const endAll = async () => {
  while (open.length > 0) {
    for (const { end } of open.splice(0)) end();
    await settle();
  }
};
const complain = async (times = open.length) => {
  for (const { fail } of open.splice(0, times)) fail(tooMany());
  await settle();
};

test('until WeCom complains nothing is held back', async () => {
  await begin(200);
  expect(open).toHaveLength(200);
});

test('after complaints about one burst half as many are allowed, the rest waits its turn', async () => {
  await begin(40);
  await complain(5);
  expect(failures).toHaveLength(5);
  expect(concurrency.limit()).toBe(20);
  await endAll();
  await begin(30);
  expect(open).toHaveLength(20);
  open.shift()?.end();
  await settle();
  expect(open.map(({ number }) => number)).toEqual(Array.from({ length: 20 }, (_, index) => index + 1));
});

test('complaints about what was begun since halve it again, down to one', async () => {
  await begin(40);
  for (const limit of [20, 10, 5, 2, 1, 1]) {
    await complain();
    expect(concurrency.limit()).toBe(limit);
    await endAll();
    await begin(40);
    expect(open).toHaveLength(limit);
  }
});

test('one more each second without complaint, and in the end no limit', async () => {
  await begin(20);
  await complain();
  for (let second = 1; second <= 5; second++) {
    now += 1_000;
    await Promise.all([concurrency.run(async () => {}), concurrency.run(async () => {})]);
    expect(concurrency.limit()).toBe(10 + second);
  }
  for (let second = 0; second < 60; second++) {
    now += 1_000;
    await concurrency.run(async () => {});
  }
  expect(concurrency.limit()).toBe(Number.POSITIVE_INFINITY);
});

test('another failure lowers nothing and makes room like a success', async () => {
  await begin(2);
  await complain();
  await expect(concurrency.run(() => Promise.reject(new Error('no')))).rejects.toThrow('no');
  expect(await concurrency.run(async () => 'sent')).toBe('sent');
  expect(concurrency.limit()).toBe(1);
});
