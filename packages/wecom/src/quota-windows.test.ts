import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { BLOCK_MS, emptyQuota, grantCalls, type QuotaState } from './quota-windows.ts';

const START = 1_700_000_000_000;
const limits = { perMinute: 100, perHour: 1_000 };
const ask = (state: QuotaState, wanted: number, afterMs: number, own = limits) =>
  grantCalls(state, { wanted, now: START + afterMs, limits: own });

describe('a quota', () => {
  test('grants what is wanted up to the minute’s limit, then says when there is room again', () => {
    const first = ask(emptyQuota, 60, 0);
    const second = ask(first.state, 60, 30_000);
    expect([first.granted, second.granted]).toEqual([60, 40]);
    const third = ask(second.state, 1, 31_000);
    expect(third.granted).toBe(0);
    expect(ask(third.state, 100, 31_000 + third.waitMs - 1).granted).toBe(0);
    // What was granted first leaves first.
    expect(ask(third.state, 100, 31_000 + third.waitMs).granted).toBe(60);
    expect(third.waitMs).toBeLessThan(32_000);
  });

  test('keeps to the hour’s limit, which may be what there is to wait for', () => {
    let state = emptyQuota;
    let granted = 0;
    for (let minute = 0; minute < 20; minute++) {
      const answer = ask(state, 100, minute * 63_000);
      state = answer.state;
      granted += answer.granted;
    }
    expect(granted).toBe(1_000);
    const { waitMs } = ask(state, 1, 20 * 63_000);
    expect(waitMs).toBeGreaterThan(2_000_000);
    expect(ask(state, 1, 20 * 63_000 + waitMs).granted).toBe(1);
  });

  test('takes back what a block left unused', () => {
    const { state } = ask(emptyQuota, 100, 0);
    const unused = { grantedAt: START, calls: 90 };
    expect(grantCalls(state, { wanted: 100, now: START + 2_000, limits, unused }).granted).toBe(90);
    const late = grantCalls(state, { wanted: 100, now: START + 90_000, limits, unused });
    expect(late.granted).toBe(100);
  });

  test('that WeCom closed grants nothing before its time', () => {
    const closed = { ...emptyQuota, closedUntil: START + 60_000 };
    expect(ask(closed, 5, 59_000)).toMatchObject({ granted: 0, waitMs: 1_000 });
    expect(ask(closed, 5, 60_000).granted).toBe(5);
  });
});

test('no minute and no hour ever holds more calls than allowed, whoever asks for how many and calls when', () => {
  const request = fc.record({
    afterMs: fc.oneof(fc.integer({ min: 0, max: 3_000 }), fc.integer({ min: 0, max: 400_000 })),
    wanted: fc.integer({ min: 1, max: 40 }),
    used: fc.double({ min: 0, max: 1, noNaN: true }),
    lateMs: fc.integer({ min: 0, max: BLOCK_MS }),
    isReturning: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(request, { minLength: 20, maxLength: 200 }), (requests) => {
      const own = { perMinute: 50, perHour: 300 };
      const calls: number[] = [];
      let state = emptyQuota;
      let now = START;
      for (const { afterMs, wanted, used, lateMs, isReturning } of requests) {
        now += afterMs;
        const answer = grantCalls(state, { wanted, now, limits: own });
        state = answer.state;
        expect(answer.granted > 0).toBe(answer.waitMs === 0);
        const made = isReturning ? Math.floor(answer.granted * used) : answer.granted;
        calls.push(...Array(made).fill(now + lateMs));
        if (made === answer.granted) continue;
        const unused = { grantedAt: now, calls: answer.granted - made };
        state = grantCalls(state, { wanted: 0, now, limits: own, unused }).state;
      }
      calls.sort((a, b) => a - b);
      for (const [spanMs, limit] of [
        [60_000, own.perMinute],
        [3_600_000, own.perHour],
      ] as const)
        for (let i = limit; i < calls.length; i++)
          expect((calls[i] ?? 0) - (calls[i - limit] ?? 0)).toBeGreaterThanOrEqual(spanMs);
    }),
    { numRuns: 300 },
  );
});
