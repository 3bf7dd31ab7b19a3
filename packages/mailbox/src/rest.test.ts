import { afterEach, beforeEach, expect, jest, test } from '@jest/globals';
import type { Logger } from '@pipeline/runtime';
import { type ToyCall, type ToyEffect, type ToyEvent, type ToyState, toyBehaviour } from '../test/toy.ts';
import { createActor } from './actor.ts';
import type { ActorDeps } from './actor-types.ts';

type Deps = ActorDeps<ToyState, ToyEvent, ToyEffect, ToyCall, never>;
type Saved = Parameters<Deps['groupCommit']['save']>[0];

/** Longer than any rest. */
const LONG_MS = 1_500;

// Time stands still until a test has it pass: no rest ends between two lines because the machine is busy.
beforeEach(() => void jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick', 'queueMicrotask'] }));
afterEach(() => void jest.useRealTimers());

/** All that needs no time has happened: database and edges answer at once. */
const pass = () => new Promise(setImmediate);
const passTime = async (ms: number) => {
  await pass();
  await jest.advanceTimersByTimeAsync(ms);
  await pass();
};

/** An actor on a database in memory. */
function setUp(
  more: Partial<Pick<Deps, 'groupCommit' | 'collection' | 'edges' | 'isHurried'>> = {},
  log: string[] = [],
) {
  const saves: Saved[] = [];
  const say =
    (what: string) =>
    (...args: unknown[]) => {
      log.push([what, ...args.filter((arg) => typeof arg === 'string')].join(' '));
    };
  const actor = createActor<ToyState, ToyEvent, ToyEffect, ToyCall, never>('wk:u', {
    service: 'router',
    behaviour: toyBehaviour,
    edges: {
      runEffect: async (_userKey: string, { what }: ToyEffect) => say('effect')(what),
      call: async (_userKey: string, { id, n }: ToyCall) => ({
        type: 'call.settled',
        id: `${id}:settled`,
        callId: id,
        n,
      }),
    } as unknown as Deps['edges'],
    collection: { load: async () => null, versionOf: async () => saves.length } as unknown as Deps['collection'],
    isProcessed: async () => false,
    groupCommit: {
      async save(document) {
        saves.push(document);
        return 'saved';
      },
    },
    now: Date.now,
    logger: { info: () => {}, warn: say('warning'), error: say('error') } as unknown as Logger,
    replica: 'toy',
    openCalls: new Set(),
    isAlive: () => true,
    leaveToCallerMs: 5_000,
    isHurried: () => false,
    failed: async () => 'retry',
    storeAway: say('store away'),
    outcome: (_userKey, _callKey, event) => push(event, 'outcome'),
    onEffectRefused: say('refused'),
    ...more,
  });
  const push = (event: ToyEvent, name: string, isAlone = false) =>
    actor.push({ event, isAlone, settle: () => say('settled')(name), dropped: () => say('dropped')(name) });
  const number = (n: number, more: object = {}) =>
    push({ type: 'toy.number', id: `m${n}`, n, sendTime: n, ...more }, `m${n}`);
  const numberAlone = (n: number, more: object = {}) =>
    push({ type: 'toy.number', id: `m${n}`, n, sendTime: n, ...more }, `m${n}`, true);
  return { actor, saves, log, number, numberAlone };
}

test('an event from which nothing follows is saved together with the next one', async () => {
  const { saves, log, number } = setUp();
  number(1, { isQuiet: true });
  await pass();
  expect([saves.length, log]).toEqual([0, []]);
  number(2);
  await pass();
  expect(saves.map(({ state }) => state.numbers)).toEqual([[1, 2]]);
  await passTime(LONG_MS);
  expect(log.filter((line) => line.startsWith('settled'))).toEqual(['settled m1', 'settled m2']);
});

test('without a next one it is saved all the same, and settled', async () => {
  const { actor, saves, log, number } = setUp();
  number(1, { isQuiet: true });
  await passTime(LONG_MS);
  expect(log).toEqual(['settled m1']);
  expect(saves.map(({ state }) => state.numbers)).toEqual([[1]]);
  expect(actor.isIdle()).toBe(true);
});

test('effects that are through leave the document with the next save, or with one of their own', async () => {
  const { actor, saves, number } = setUp();
  const inDocument = () => saves.map(({ effects }) => effects.map(({ what }) => what));
  number(1);
  await passTime(LONG_MS);
  expect(inDocument()).toEqual([['1'], []]);
  number(2);
  await pass();
  expect(inDocument().slice(2)).toEqual([['2']]);
  number(3);
  await pass();
  expect(inDocument().slice(3)).toEqual([['3']]);
  await passTime(LONG_MS);
  expect(inDocument().slice(4)).toEqual([[]]);
  expect(actor.isIdle()).toBe(true);
});

test('the outcome of a call rests unless another call follows from it', async () => {
  const { saves, number } = setUp();
  number(1, { isQuiet: true, callMs: 0 });
  number(2, { isQuiet: true, callMs: 0 });
  await passTime(LONG_MS);
  // Both calls are opened by a save of their own; only the last outcome has nothing to ride in.
  expect(saves.map(({ state }) => [state.called.length, state.call?.n ?? null])).toEqual([
    [0, 1],
    [1, 2],
    [2, null],
  ]);
});

test('before the partition goes, what rests is saved, and so is what comes then', async () => {
  const { actor, saves, log, number } = setUp();
  number(1, { isQuiet: true });
  await pass();
  actor.leave();
  await passTime(20);
  expect(log).toEqual(['settled m1']);
  number(2, { isQuiet: true });
  await passTime(20);
  expect(log).toEqual(['settled m1', 'settled m2']);
  expect(saves).toHaveLength(2);
});

test('nothing rests for long while a suspect waits for it', async () => {
  let isHurried = false;
  const { actor, log, number } = setUp({ isHurried: () => isHurried });
  number(1, { isQuiet: true });
  await pass();
  isHurried = true;
  actor.hurry();
  number(2, { isQuiet: true });
  await passTime(20);
  expect(log).toEqual(['settled m1', 'settled m2']);
  isHurried = false;
  number(3, { isQuiet: true });
  await passTime(20);
  expect(log).toHaveLength(2);
});

test('what rests in an actor that is dropped is not settled, and never saved', async () => {
  const { actor, saves, log, number } = setUp();
  number(1, { isQuiet: true });
  await pass();
  actor.drop();
  expect(log).toEqual(['dropped m1']);
  await passTime(LONG_MS);
  expect([saves, log]).toEqual([[], ['dropped m1']]);
});

test('a refusal that can no longer be saved, as another replica has seen to the effect, holds nothing back', async () => {
  const stored: Saved[] = [];
  const { actor, log, number } = setUp({
    edges: { runEffect: () => Promise.reject(new Error('refused')) } as unknown as Deps['edges'],
    collection: { load: async () => stored.at(-1) ?? null } as unknown as Deps['collection'],
    groupCommit: {
      async save(document) {
        if (stored.length > 0) {
          stored.push({ ...document, effects: [] });
          return 'stale';
        }
        stored.push(document);
        return 'saved';
      },
    },
  });
  number(1);
  await passTime(LONG_MS);
  expect(log).toContain('settled m1');
  expect(actor.isIdle()).toBe(true);
});

test('what all other deliveries wait for does not rest, nor what it has passed on', async () => {
  const { log, number } = setUp();
  const alone = [setUp({}, log), setUp({}, log)];
  const settled = () => log.filter((line) => line.startsWith('settled'));
  number(1, { isQuiet: true });
  alone[0]?.numberAlone(2, { isQuiet: true });
  alone[1]?.number(3);
  alone[1]?.numberAlone(4);
  await passTime(LONG_MS);
  expect(settled()).toHaveLength(4);
  expect(settled().at(-1)).toBe('settled m1');
});
