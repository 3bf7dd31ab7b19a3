import { expect, test } from '@jest/globals';
import type { Logger } from '@pipeline/runtime';
import { eventually } from '../../../test/support/eventually.ts';
import { type ToyCall, type ToyEffect, type ToyEvent, type ToyState, toyBehaviour } from '../test/toy.ts';
import { createActor } from './actor.ts';
import type { ActorDeps } from './actor-types.ts';

type Deps = ActorDeps<ToyState, ToyEvent, ToyEffect, ToyCall, never>;
type Saved = Parameters<Deps['groupCommit']['save']>[0];

/** An actor on a database in memory. */
function setUp(more: Partial<Pick<Deps, 'groupCommit' | 'collection' | 'edges'>> = {}, log: string[] = []) {
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
    openCalls: new Set(),
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
  const pass = () => new Promise((resolve) => setTimeout(resolve, 1));
  return { actor, saves, log, number, numberAlone, pass };
}

test('an event from which nothing follows is saved together with the next one', async () => {
  const { saves, log, number, pass } = setUp();
  number(1, { isQuiet: true });
  await pass();
  expect([saves.length, log]).toEqual([0, []]);
  number(2);
  await eventually('the next is saved', () => saves.length === 1);
  expect(saves[0]?.state.numbers).toEqual([1, 2]);
  await eventually('both are settled', () => log.includes('settled m1') && log.includes('settled m2'));
});

test('without a next one it is saved all the same, and settled', async () => {
  const { actor, saves, log, number } = setUp();
  number(1, { isQuiet: true });
  await eventually('it is settled', () => log.includes('settled m1'), { withinMs: 2_000 });
  expect(saves.map(({ state }) => state.numbers)).toEqual([[1]]);
  expect(actor.isIdle()).toBe(true);
});

test('effects that are through leave the document with the next save, or with one of their own', async () => {
  const { actor, saves, number } = setUp();
  number(1);
  await eventually('the effect has gone', () => saves.at(-1)?.effects.length === 0, { withinMs: 2_000 });
  number(2);
  await eventually('the second is saved', () => saves.length === 3);
  number(3);
  await eventually('the third is saved without the effect of the second', () =>
    saves.at(-1)?.effects.some(({ what }) => what === '3'),
  );
  expect(saves.at(-1)?.effects).toMatchObject([{ what: '3' }]);
  await eventually('nothing is left', () => actor.isIdle());
  expect(saves).toHaveLength(5);
});

test('the outcome of a call rests unless another call follows from it', async () => {
  const { saves, number } = setUp();
  number(1, { isQuiet: true, callMs: 0 });
  number(2, { isQuiet: true, callMs: 0 });
  await eventually('both are called', () => saves.at(-1)?.state.called.length === 2, { withinMs: 2_000 });
  // Both calls are opened by a save of their own; only the last outcome has nothing to ride in.
  expect(saves.map(({ state }) => [state.called.length, state.call?.n ?? null])).toEqual([
    [0, 1],
    [1, 2],
    [2, null],
  ]);
});

test('what rests in an actor that is dropped is not settled, and never saved', async () => {
  const { actor, saves, log, number, pass } = setUp();
  number(1, { isQuiet: true });
  await pass();
  actor.drop();
  expect(log).toEqual(['dropped m1']);
  await new Promise((resolve) => setTimeout(resolve, 400));
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
  await eventually('it is settled', () => log.includes('settled m1'), { withinMs: 2_000 });
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
  await eventually('all is settled', () => settled().length === 4, { withinMs: 2_000 });
  expect(settled().at(-1)).toBe('settled m1');
});
