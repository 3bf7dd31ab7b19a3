import { describe, expect, test } from '@jest/globals';
import { afterPoll, noHistory, type PollHistory, type PollOutcome } from './poll-interval.ts';

const intervals = { activeMs: 2_000, idleMs: 10_000, idleThresholdMs: 30_000, errorMs: 10_000, errorMaxMs: 60_000 };
const page = (fields: Partial<Extract<PollOutcome, { kind: 'page' }>> = {}): PollOutcome => ({
  kind: 'page',
  itemCount: 0,
  hasMore: false,
  isMoved: false,
  ...fields,
});
/** The waits after each of the outcomes, one after another. */
function waits(outcomes: readonly (readonly [now: number, outcome: PollOutcome])[]): number[] {
  let history: PollHistory = noHistory;
  return outcomes.map(([now, outcome]) => {
    const next = afterPoll(history, outcome, now, intervals);
    history = next.history;
    return next.waitMs;
  });
}

describe('after a page', () => {
  test('polling is idle until items arrive, active for 30 s after the last ones, then idle again', () => {
    const empty = page();
    const full = page({ itemCount: 3, isMoved: true });
    expect(
      waits([
        [0, empty],
        [1_000, full],
        [3_000, empty],
        [31_000, empty],
        [31_001, empty],
      ]),
    ).toEqual([10_000, 2_000, 2_000, 2_000, 10_000]);
  });

  test('that is not the last one, the next is read at once, were it empty or not', () => {
    expect(
      waits([
        [0, page({ hasMore: true, isMoved: true })],
        [0, page({ hasMore: true, itemCount: 9, isMoved: true })],
      ]),
    ).toEqual([0, 0]);
  });

  test('that promises more but leads nowhere, again and again, polling does not become a busy loop', () => {
    const stuck = page({ hasMore: true });
    const all = waits(Array.from({ length: 12 }, () => [0, stuck] as const));
    expect(all).toEqual([...Array(10).fill(0), 10_000, 10_000]);
    expect(
      waits([...Array.from({ length: 11 }, () => [0, stuck] as const), [0, page({ hasMore: true, isMoved: true })]]).at(
        -1,
      ),
    ).toBe(0);
  });
});

describe('after a failure', () => {
  const refused: PollOutcome = { kind: 'refused', retryAfterMs: null };

  test('of WeCom the pause doubles up to a minute, and a page ends that', () => {
    expect(
      waits([
        [0, refused],
        [0, refused],
        [0, refused],
        [0, refused],
        [0, refused],
        [0, page()],
        [0, refused],
      ]),
    ).toEqual([10_000, 20_000, 40_000, 60_000, 60_000, 10_000, 10_000]);
  });

  test('of WeCom that says how long, it is left alone for as long', () => {
    expect(waits([[0, { kind: 'refused', retryAfterMs: 60_000 }]])).toEqual([60_000]);
  });

  test('of broker or database the pause is under a second, however often', () => {
    for (const wait of waits(Array.from({ length: 9 }, () => [0, { kind: 'away' }] as const)))
      expect(wait).toBeLessThan(1_000);
  });

  test('that only an operator can mend, nothing is asked any more', () => {
    expect(waits([[0, { kind: 'barred' }]])).toEqual([Number.POSITIVE_INFINITY]);
  });
});
