import { afterEach, beforeEach, expect, jest, test } from '@jest/globals';
import { createLogger } from '@pipeline/runtime';
import type { ActorDocument, ActorSave } from '@pipeline/store';
import { type ToyEvent, type ToyState, type ToyTypes, toyBehaviour } from '../../test/toy.ts';
import type { Edges } from '../behaviour.ts';
import { GroupCommit } from '../commit/group-commit.ts';
import { Actor } from './actor.ts';
import { bornHere } from './input.ts';
import { OpenCalls } from './open-calls.ts';

/** Longer than any deferral. */
const LONG_MS = 1_500;

// Time stands still until a test has it pass: nothing deferred is saved between two lines because the machine is busy.
beforeEach(() => void jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick', 'queueMicrotask'] }));
afterEach(() => void jest.useRealTimers());

/** All that needs no time has happened: database and edges answer at once. */
const pass = async () => {
  for (let turn = 0; turn < 10; turn++) await new Promise(setImmediate);
};
const passTime = async (ms: number) => {
  await pass();
  await jest.advanceTimersByTimeAsync(ms);
  await pass();
};

/** An actor on a database in memory. */
function setUp({ refusesEffects = false }: { refusesEffects?: boolean } = {}) {
  const log: string[] = [];
  const saves: ActorDocument<ToyState>[] = [];
  let stored: ActorDocument<ToyState> | null = null;
  const collection = {
    load: async () => stored && { ...stored },
    versionOf: async () => stored?.version ?? 0,
    saveAll: async (all: readonly ActorSave<ToyState>[]) =>
      all.map(({ document, replaces }) => {
        if ((stored?.version ?? 0) !== replaces) return 'stale' as const;
        stored = document;
        saves.push(document);
        return 'saved' as const;
      }),
  } as never;
  const edges = {
    runEffect: async (_userKey: string, { what }: { what: string }) => {
      if (refusesEffects) throw new Error('refused');
      log.push(`effect ${what}`);
    },
    call: async (_userKey: string, { id, n }: { id: string; n: number }) => ({
      type: 'call.settled',
      id: `${id}:settled`,
      callId: id,
      n,
    }),
    forwardOutcome: async () => void log.push('forwarded'),
  } as unknown as Edges<ToyTypes>;
  const logger = createLogger({ service: 'test', level: 'silent' });
  const groupCommit = new GroupCommit<ToyState>(collection, async () => {});
  const actor: Actor<ToyTypes> = new Actor('wk:u', {
    service: 'router',
    replica: 'toy',
    behaviour: toyBehaviour,
    edges,
    collection,
    groupCommit,
    isProcessed: async () => false,
    now: Date.now,
    logger,
    calls: new OpenCalls<ToyTypes>({
      edges,
      replica: 'toy',
      isAlive: () => true,
      leaveToCallerMs: 5_000,
      now: Date.now,
      logger,
      actorOf: () => actor,
    }),
    failed: async () => 'retry',
    storeAway: () => void log.push('store away'),
    onEffectRefused: () => void log.push('refused'),
  });
  const push = (event: ToyEvent, name: string, isOnTrial = false) =>
    actor.push({
      ...bornHere<ToyTypes>(event),
      isOnTrial,
      ack: () => void log.push(`acked ${name}`),
      dropped: () => void log.push(`dropped ${name}`),
    });
  const number = (n: number, more: object = {}, isOnTrial = false) =>
    push({ type: 'toy.number', id: `m${n}`, n, sendTime: n, ...more }, `m${n}`, isOnTrial);
  const acked = () => log.filter((line) => line.startsWith('acked'));
  /** Somebody else saves what is stored, with these changes. */
  const saveElsewhere = (more: Partial<ActorDocument<ToyState>>) => {
    if (stored) stored = { ...stored, version: stored.version + 1, ...more };
  };
  return { actor, saves, log, acked, number, groupCommit, saveElsewhere };
}

test('an event from which nothing follows is saved together with the next one', async () => {
  const { saves, log, acked, number } = setUp();
  number(1, { isQuiet: true });
  await pass();
  expect([saves.length, log]).toEqual([0, []]);
  number(2);
  await pass();
  expect(saves.map(({ state }) => state.numbers)).toEqual([[1, 2]]);
  await passTime(LONG_MS);
  expect(acked()).toEqual(['acked m1', 'acked m2']);
});

test('without a next one it is saved all the same, and acked', async () => {
  const { actor, saves, log, number } = setUp();
  number(1, { isQuiet: true });
  await passTime(LONG_MS);
  expect(log).toEqual(['acked m1']);
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

test('the outcome of a call is deferred unless another call follows from it', async () => {
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

test('what is deferred is saved and acked at once when the partition is about to go', async () => {
  const { actor, saves, log, number, groupCommit } = setUp();
  number(1, { isQuiet: true });
  await pass();
  expect(actor.isIdle()).toBe(false);
  groupCommit.flush();
  await pass();
  expect([saves.length, log, actor.isIdle()]).toEqual([1, ['acked m1'], true]);
});

test('nothing of an event on trial is deferred', async () => {
  const { acked, number } = setUp();
  number(1, { isQuiet: true }, true);
  await pass();
  expect(acked()).toEqual(['acked m1']);
  number(2, {}, true);
  await pass();
  expect(acked()).toEqual(['acked m1', 'acked m2']);
});

test('what is deferred in an actor that is dropped is not acked', async () => {
  const { actor, log, number } = setUp();
  number(1, { isQuiet: true });
  await pass();
  actor.drop();
  expect(log).toEqual(['dropped m1']);
  await passTime(LONG_MS);
  expect(log).toEqual(['dropped m1']);
});

test('what is deferred is reduced again, in order, if somebody else saves meanwhile', async () => {
  const { saves, acked, number, saveElsewhere } = setUp();
  number(1);
  await passTime(LONG_MS);
  number(2, { isQuiet: true });
  await pass();
  number(3, { isQuiet: true });
  await pass();
  saveElsewhere({ state: { numbers: [1, 99], called: [], call: null, waiting: [], due: [] } });
  number(4);
  await passTime(LONG_MS);
  expect(saves.at(-1)?.state.numbers).toEqual([1, 99, 2, 3, 4]);
  expect(acked()).toEqual(['acked m1', 'acked m2', 'acked m3', 'acked m4']);
});

test('a deferred save that turns out stale by itself is made again', async () => {
  const { actor, saves, acked, number, saveElsewhere } = setUp();
  number(1);
  await passTime(LONG_MS);
  number(2, { isQuiet: true });
  await pass();
  saveElsewhere({});
  await passTime(2 * LONG_MS);
  expect(saves.at(-1)?.state.numbers).toEqual([1, 2]);
  expect(acked()).toEqual(['acked m1', 'acked m2']);
  expect(actor.isIdle()).toBe(true);
});

test('a refusal that can no longer be saved, as another replica has seen to the effect, holds nothing back', async () => {
  const { actor, log, saves, number, saveElsewhere } = setUp({ refusesEffects: true });
  number(1);
  while (saves.length === 0) await new Promise(setImmediate);
  saveElsewhere({ effects: [] });
  await passTime(LONG_MS);
  expect(log).toContain('acked m1');
  expect(actor.isIdle()).toBe(true);
});
