// One event is one dead letter, and one replay is one replay, whoever else is at it.
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Store } from '../src/index.ts';
import { openTestStore } from './open.ts';

let store: Store;
let close: () => Promise<void>;
let letters = 0;
beforeAll(async () => {
  ({ store, close } = await openTestStore());
});
afterAll(() => close());

const at = 1_000_000;
const died = (messageId: string, code = 'unexpected', body: string | null = '{"$a.b":1}') => {
  const origin = { type: 't', messageId, correlationId: 'c', userKey: 'wk1:u', exchange: null };
  return store.deadLetters.keep({ service: 'router', reason: 'r', code, attempts: 5, origin, body });
};
const one = async () => {
  const messageId = `m${++letters}`;
  await died(messageId);
  return { messageId, id: `router:${messageId}` };
};

test('a death told again changes nothing', async () => {
  const { messageId, id } = await one();
  await Promise.all([died(messageId, 'other'), died(messageId, 'other')]);
  expect(await store.deadLetters.find(id)).toMatchObject({
    service: 'router',
    code: 'unexpected',
    attempts: 5,
    state: 'waiting',
    replays: 0,
    body: '{"$a.b":1}',
  });
});

test('of operators who replay at the same time one gets the letter', async () => {
  const { id } = await one();
  const claims = await Promise.all([1, 2, 3].map(() => store.deadLetters.beginReplay(id, at)));
  const [claimed] = claims.filter((claim) => claim !== null);
  expect(claims.filter((claim) => claim === null)).toHaveLength(2);
  expect(claimed).toMatchObject({ replays: 1, state: 'replaying' });
  if (claimed) await store.deadLetters.endReplay(claimed, true);
  expect(await store.deadLetters.beginReplay(id, at + 3_600_000)).toBeNull();
  expect(await store.deadLetters.find(id)).toMatchObject({ state: 'replayed' });
});

test('a replay that failed, or that somebody died over, is begun again under its number', async () => {
  const { id } = await one();
  const failed = await store.deadLetters.beginReplay(id, at);
  if (failed) await store.deadLetters.endReplay(failed, false);
  expect(await store.deadLetters.beginReplay(id, at)).toMatchObject({ replays: 1 });
  expect(await store.deadLetters.beginReplay(id, at + 59_000)).toBeNull();
  expect(await store.deadLetters.beginReplay(id, at + 61_000)).toMatchObject({ replays: 1 });
});

test('a replay that dies makes its letter wait again, an earlier life’s death told late doesn’t', async () => {
  const { messageId, id } = await one();
  await store.deadLetters.beginReplay(id, at);
  await died(messageId); // by whoever crashed between telling and acking
  expect(await store.deadLetters.find(id)).toMatchObject({ state: 'replaying' });
  await died(`${messageId}~1`, 'again');
  expect(await store.deadLetters.find(id)).toMatchObject({ state: 'waiting', code: 'again', attempts: 10, replays: 1 });
  const second = await store.deadLetters.beginReplay(id, at);
  expect(second).toMatchObject({ replays: 2, origin: { messageId } });
  if (second) await store.deadLetters.endReplay(second, true);
  await died(`${messageId}~1`);
  expect(await store.deadLetters.find(id)).toMatchObject({ state: 'replayed' });
});

test('of a replay that dies the letter keeps what is left, or what it had if that is not known', async () => {
  const { messageId, id } = await one();
  for (const [replay, left] of ['{"left":2}', null].entries()) {
    const letter = await store.deadLetters.beginReplay(id, at);
    if (letter) await store.deadLetters.endReplay(letter, true);
    await died(`${messageId}~${replay + 1}`, 'again', left);
    expect(await store.deadLetters.find(id)).toMatchObject({ state: 'waiting', body: '{"left":2}' });
  }
});

test('of a dropped letter only the trace stays, and what is being replayed can’t be dropped', async () => {
  const [dropped, replaying] = [await one(), await one()];
  expect(await store.deadLetters.drop(dropped.id)).toBe(true);
  expect(await store.deadLetters.drop(dropped.id)).toBe(false);
  await died(dropped.messageId);
  expect(await store.deadLetters.find(dropped.id)).toMatchObject({ state: 'dropped', body: null, code: 'unexpected' });
  expect(await store.deadLetters.beginReplay(dropped.id, at)).toBeNull();
  await store.deadLetters.beginReplay(replaying.id, at);
  expect(await store.deadLetters.drop(replaying.id)).toBe(false);
});

test('the list and the count hold what waits for somebody, by service', async () => {
  const { id } = await one();
  await store.deadLetters.drop(id);
  const waiting = (await store.deadLetters.list('router', 100)).map(({ _id }) => _id);
  expect(waiting).not.toContain(id);
  expect(await store.deadLetters.countOpen('router')).toBe(waiting.length);
  expect((await store.deadLetters.list('router', 100, ['dropped'])).map(({ _id }) => _id)).toContain(id);
  expect(await store.deadLetters.list('sender', 100)).toEqual([]);
});
