import { beforeEach, describe, expect, test } from '@jest/globals';
import { createLogger } from '@pipeline/runtime';
import { type CallQuota, createCallQuota, type QuotaStore } from './call-quota.ts';
import type { QuotaState } from './quota-windows.ts';

const API = 'kf/send_msg';
let now: number;
let updates: number;
let stored: Map<string, QuotaState>;
let logged: string[];
const store: QuotaStore = {
  async update(api, change) {
    updates++;
    await new Promise((resolve) => setImmediate(resolve));
    const { state, result } = change(stored.get(api) ?? null);
    stored.set(api, state);
    return result;
  },
};
const open = (perMinute: number, perHour = 1_000_000): CallQuota =>
  createCallQuota({
    store,
    limits: { perMinute, perHour },
    now: () => now,
    monotonic: () => now,
    logger: createLogger({ service: 'test', level: 'warn', destination: { write: (line) => logged.push(line) } }),
  });
beforeEach(() => {
  now = 1_700_000_000_000;
  updates = 0;
  stored = new Map();
  logged = [];
});

/** @returns how many of so many calls at once were admitted */
async function admitted(quota: CallQuota, calls: number, api = API): Promise<number> {
  const results = await Promise.allSettled(Array.from({ length: calls }, () => quota.admit(api)));
  return results.filter(({ status }) => status === 'fulfilled').length;
}

test('many calls at once cost few visits to the store', async () => {
  const quota = open(10_000);
  expect(await admitted(quota, 400)).toBe(400);
  expect(updates).toBeLessThanOrEqual(2);
});

test('a steady stream costs the store one visit a block, not one a call', async () => {
  const quota = open(10_000);
  for (let call = 0; call < 1_000; call++) {
    await quota.admit(API);
    now += 10;
  }
  expect(updates).toBeLessThan(50);
});

test('replicas together are admitted exactly as often as the quota says', async () => {
  const replicas = [open(100), open(100), open(100)];
  let total = 0;
  for (let round = 0; round < 40; round++) for (const quota of replicas) total += await admitted(quota, 3);
  // Small remains of blocks may lie with one replica while another is told that nothing is left.
  expect(total).toBeLessThanOrEqual(100);
  expect(total).toBeGreaterThanOrEqual(90);
  now += 63_000;
  expect(await admitted(replicas[0] as CallQuota, 3)).toBe(3);
});

describe('when it is spent', () => {
  test('callers are told for how long, once in the log, and nobody visits the store for that', async () => {
    const quota = open(20);
    while ((await admitted(quota, 1)) === 1);
    const before = updates;
    await expect(quota.admit(API)).rejects.toMatchObject({
      code: 'wecom-quota-spent',
      class: 'retryable',
      errcode: null,
      isUnanswered: false,
      retryAfterMs: expect.any(Number),
    });
    expect(await admitted(quota, 50)).toBe(0);
    expect(updates).toBe(before);
    expect(logged.filter((line) => line.includes('quota.spent'))).toHaveLength(1);
    expect(Object.keys(quota.resting())).toEqual([API]);
    now += quota.resting()[API] ?? 0;
    expect(await admitted(quota, 1)).toBe(1);
    expect(quota.resting()).toEqual({});
  });

  test('other APIs go on', async () => {
    const quota = open(20);
    while ((await admitted(quota, 1)) === 1);
    expect(await admitted(quota, 1, 'kf/sync_msg')).toBe(1);
  });
});

test('a refusal by WeCom stops every replica within a second, until its time is over', async () => {
  const [first, second] = [open(1_000), open(1_000)];
  expect(await admitted(second, 10)).toBe(10);
  await first.close(API, 60_000);
  expect(await admitted(first, 1)).toBe(0);
  now += 1_000;
  expect(await admitted(second, 1)).toBe(0);
  expect(second.resting()[API]).toBe(59_000);
  now += 59_000;
  expect([await admitted(first, 1), await admitted(second, 1)]).toEqual([1, 1]);
});

test('a store that fails fails the call, and the next one asks again', async () => {
  let isAway = true;
  const quota = createCallQuota({
    store: { update: (api, change) => (isAway ? Promise.reject(new Error('away')) : store.update(api, change)) },
    limits: { perMinute: 10, perHour: 10 },
    now: () => now,
    logger: createLogger({ service: 'test', level: 'silent' }),
  });
  await expect(quota.admit(API)).rejects.toThrow('away');
  isAway = false;
  await quota.admit(API);
});
