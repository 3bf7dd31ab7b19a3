// A process that dies is started again, later each time; once it has been ready for long enough, soon again.
import { EventEmitter } from 'node:events';
import { afterEach, beforeEach, expect, jest, test } from '@jest/globals';
import type { Exit, OwnedProcess } from './owned-process.ts';
import { supervise } from './supervise.ts';

beforeEach(() => void jest.useFakeTimers());
afterEach(() => void jest.useRealTimers());

/** A process that dies when told to, and is ready as soon as it runs. */
function setUp() {
  const told: string[] = [];
  let die: (exit: Exit) => void = () => {};
  const supervised = supervise({
    name: 'toy',
    launch: async () => {
      const exited = new Promise<Exit>((resolve) => {
        die = resolve;
      });
      const child = new EventEmitter() as OwnedProcess['child'];
      return { name: 'toy', pid: 1, child, exited, hasExited: () => false, stop: () => exited };
    },
    probe: async () => ({ isReady: true }),
    stopGraceMs: 0,
    onFatal: () => {},
    report: { warn: (_name, text) => told.push(text), step: () => {} },
    now: () => Date.now(),
  });
  const killAfter = async (ms: number) => {
    await jest.advanceTimersByTimeAsync(ms);
    die({ code: null, signal: 'SIGKILL' });
    await jest.advanceTimersByTimeAsync(1);
    const [, seconds] = /again in ([\d.]+) s/.exec(told.at(-1) ?? '') ?? [];
    await jest.advanceTimersByTimeAsync(Number(seconds) * 1_000 + 1);
    return Number(seconds);
  };
  return { supervised, killAfter };
}

test('it waits 0.2 s before the next start, twice as long each time, and 5 s at most', async () => {
  const { killAfter } = setUp();
  const waits = [];
  for (let death = 0; death < 7; death++) waits.push(await killAfter(1_000));
  expect(waits).toEqual([0.2, 0.4, 0.8, 1.6, 3.2, 5, 5]);
});

test('after 10 s of readiness it begins with 0.2 s again, and not before', async () => {
  const { killAfter } = setUp();
  expect([await killAfter(1_000), await killAfter(1_000)]).toEqual([0.2, 0.4]);
  expect(await killAfter(9_000)).toBe(0.8);
  expect(await killAfter(11_500)).toBe(0.2);
});
