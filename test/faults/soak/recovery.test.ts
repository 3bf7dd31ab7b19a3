// What the soak counts as a wait after a kill, and from when.
import { expect, test } from '@jest/globals';
import type { Happened } from './inject.ts';
import type { Machine } from './machine.ts';
import { measureRecovery } from './recovery.ts';
import type { Said } from './users.ts';
import type { Ending } from './verdict.ts';

const KILLED_AT = 100_000;

interface Story {
  said: number[];
  /** Of the first message; the others are never answered. */
  answeredAt: number;
  /** What was sent before: when, and what was left then. */
  sent?: [at: number, remaining: number][];
  happened?: Partial<Happened>[];
}

function waitsOf({ said: times, answeredAt, sent = [], happened = [] }: Story): number[] {
  const said = times.map((at, index): Said => ({ user: 'u', msgid: `m${index}`, kind: 'question', name: 'q', at }));
  const records = [...sent, [answeredAt, 4] as const].map(([acceptedAt, remaining], seq) => ({
    seq,
    acceptedAt,
    remaining,
  }));
  const machine = {
    wecom: { control: { sent: () => records, faultHits: () => [] } },
    bridge: { control: { tasks: () => [] } },
  } as unknown as Machine;
  const ending = { said: said[0], endedAt: answeredAt, by: 'answer', sent: records.at(-1) } as Ending;
  const { waits } = measureRecovery(machine, said, new Map([['m0', ending]]), happened as Happened[], {
    moments: [KILLED_AT],
    isDisturbing: () => true,
    clearMs: 5_000,
  });
  return waits.map(({ ms }) => ms);
}

test('who had asked before the kill waits since the kill, who asks soon after it since then', () => {
  expect(waitsOf({ said: [99_000], answeredAt: 103_000 })).toEqual([3_000]);
  expect(waitsOf({ said: [100_500], answeredAt: 103_000 })).toEqual([2_500]);
  expect(waitsOf({ said: [101_500], answeredAt: 103_000 })).toEqual([]);
});

test('a slow answer is not left out for being slow', () => {
  expect(waitsOf({ said: [99_000], answeredAt: 140_000 })).toEqual([40_000]);
});

test('an answer that no allowance is left for waits for the user: that time does not count', () => {
  const sent: Story['sent'] = [[99_500, 0]];
  expect(waitsOf({ said: [99_000, 100_800], answeredAt: 103_000, sent })).toEqual([2_200]);
  expect(waitsOf({ said: [99_000, 130_000], answeredAt: 131_000, sent })).toEqual([]);
  // Spent before the question was asked, which renewed it.
  expect(waitsOf({ said: [99_000, 130_000], answeredAt: 131_000, sent: [[98_000, 0]] })).toEqual([31_000]);
});

test('a kill close to another fault does not count', () => {
  const story = { said: [99_000], answeredAt: 103_000 };
  expect(waitsOf({ ...story, happened: [{ kind: 'network', from: 90_000, to: 96_000 }] })).toEqual([]);
  expect(waitsOf({ ...story, happened: [{ kind: 'network', from: 90_000, to: 94_000 }] })).toEqual([3_000]);
});
