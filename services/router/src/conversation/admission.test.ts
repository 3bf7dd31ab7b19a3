import { describe, expect, test } from '@jest/globals';
import { renewalBy } from '@pipeline/contracts';
import { itemOf, settings, startOfTime } from '../../test/conversation-world.ts';
import { countWaiting, extendWindow, judge } from './admission.ts';
import type { Turn } from './conversation-state.ts';

const item = itemOf('m1', startOfTime);
const at = item.sendTime;
const turn = {} as Turn;
const times = (count: number, sendTime: number) => Array.from({ length: count }, () => sendTime);
const judged = (accepted: number[], waiting = 0, running: Turn | null = null) =>
  judge(item, { turn: running, accepted, waiting }, settings);

describe('the verdict on a message', () => {
  test('what is said is what was written, trimmed', () => {
    expect(judge({ ...item, text: '\n 继续吧 ' }, { turn: null, accepted: [], waiting: 0 }, settings)).toEqual({
      kind: 'accepted',
      text: '继续吧',
      ahead: 0,
    });
  });

  test('it counts the running message and the waiting ones as standing before it', () => {
    expect(judged([], 2, turn)).toMatchObject({ kind: 'accepted', ahead: 3 });
    expect(judged([], 3, turn)).toMatchObject({ kind: 'accepted', ahead: 4 });
    expect(judged([], 4, turn)).toEqual({ kind: 'refused', text: 'queueFull' });
    expect(judged([], 5)).toEqual({ kind: 'refused', text: 'queueFull' });
  });

  test('a picture and a blank text are not what the limits are about', () => {
    const full = { turn, accepted: times(10, at), waiting: 4 };
    expect(judge({ ...item, msgtype: 'voice', text: null }, full, settings)).toEqual({
      kind: 'refused',
      text: 'unsupported',
    });
    expect(judge({ ...item, text: ' ' }, full, settings)).toEqual({ kind: 'ignored' });
  });

  test('the rate limit comes before the full line', () => {
    expect(judged(times(10, at), 4, turn)).toEqual({ kind: 'refused', text: 'rateLimited' });
  });

  test('the minute slides: what was sent 60 s ago has left it', () => {
    expect(judged(times(10, at - 59))).toEqual({ kind: 'refused', text: 'rateLimited' });
    expect(judged(times(10, at - 60))).toMatchObject({ kind: 'accepted' });
    expect(judged([...times(9, at - 1), at - 60])).toMatchObject({ kind: 'accepted' });
  });

  test('an old message, replayed, isn’t held against what was sent long after it', () => {
    expect(judged(times(10, at + 60))).toMatchObject({ kind: 'accepted' });
    expect(judged(times(10, at + 59))).toEqual({ kind: 'refused', text: 'rateLimited' });
  });
});

test('the window keeps no more times than it can need', () => {
  expect(extendWindow([1, 2, 3], 4, 3)).toEqual([2, 3, 4]);
  expect(extendWindow([], 4, 3)).toEqual([4]);
});

test('only what was accepted counts as waiting', () => {
  expect(
    countWaiting([
      { status: 'accepted', msgId: 'a', text: 'a', renewal: renewalBy(item) },
      { status: 'hold', item, askAt: 0, askDelayMs: 0, asked: 0 },
      { status: 'undecided', item },
    ]),
  ).toBe(1);
});
