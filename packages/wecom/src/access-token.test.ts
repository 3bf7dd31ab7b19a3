import { expect, test } from '@jest/globals';
import { createAccessToken, createMemoryTokenStore, type TokenStore } from './access-token.ts';

function setUp(expiresInS = 7200, store: TokenStore = createMemoryTokenStore()) {
  const state = { now: 1_000_000, fetched: 0, fail: false, sameToken: false };
  const accessToken = createAccessToken({
    store,
    clock: () => state.now,
    fetchToken: async () => {
      state.fetched++;
      if (state.fail) throw new Error('away');
      return { token: state.sameToken ? 'same' : `t${state.fetched}`, expiresInS };
    },
  });
  return { state, accessToken, store };
}

test('one fetch serves everybody who waits for it, and is kept', async () => {
  const { state, accessToken } = setUp();
  expect(await Promise.all([accessToken.get(), accessToken.get(), accessToken.get()])).toEqual(['t1', 't1', 't1']);
  expect(await accessToken.get()).toBe('t1');
  expect(state.fetched).toBe(1);
});

test('a failed fetch fails for those who wait, and the next call tries again', async () => {
  const { state, accessToken } = setUp();
  state.fail = true;
  const both = await Promise.allSettled([accessToken.get(), accessToken.get()]);
  expect(both.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  state.fail = false;
  expect(await accessToken.get()).toBe('t2');
});

test('a short life is used for its half', async () => {
  const { state, accessToken } = setUp(100);
  await accessToken.get();
  state.now += 49_999;
  expect(await accessToken.get()).toBe('t1');
  state.now += 1;
  expect(await accessToken.get()).toBe('t2');
});

test('a refused token is replaced once, however many callers were refused', async () => {
  const { state, accessToken } = setUp();
  const refused = await accessToken.get();
  expect(await Promise.all([accessToken.renew(refused), accessToken.renew(refused)])).toEqual(['t2', 't2']);
  expect(await accessToken.renew(refused)).toBe('t2');
  expect(state.fetched).toBe(2);
});

test('a token that WeCom hands out again after refusing it is used without asking for every call', async () => {
  const { state, accessToken } = setUp();
  state.sameToken = true;
  expect(await accessToken.renew(await accessToken.get())).toBe('same');
  expect(await accessToken.get()).toBe('same');
  expect(state.fetched).toBe(2);
});

test('replicas share what is in the store, and what one of them renewed', async () => {
  const first = setUp();
  const second = setUp(7200, first.store);
  const token = await first.accessToken.get();
  expect(await second.accessToken.get()).toBe(token);
  first.state.fetched = 10;
  expect(await first.accessToken.renew(token)).toBe('t11');
  expect(await second.accessToken.renew(token)).toBe('t11');
  expect(second.state.fetched).toBe(0);
});

test('while another process fetches, its token is awaited instead of fetching too', async () => {
  const store = createMemoryTokenStore();
  let claims = 0;
  const { state, accessToken } = setUp(7200, {
    ...store,
    async claim() {
      if (++claims === 2) await store.write({ token: 'theirs', expiresAt: 2_000_000 });
      return false;
    },
  });
  expect(await accessToken.get()).toBe('theirs');
  expect(state.fetched).toBe(0);
});

test('what was written while the claim was taken is used', async () => {
  const store = createMemoryTokenStore();
  const { state, accessToken } = setUp(7200, {
    ...store,
    async claim() {
      await store.write({ token: 'theirs', expiresAt: 2_000_000 });
      return true;
    },
  });
  expect(await accessToken.get()).toBe('theirs');
  expect(state.fetched).toBe(0);
});

test('a store that is away stops nobody', async () => {
  const away = () => Promise.reject(new Error('away'));
  const { accessToken } = setUp(7200, { read: away, write: away, claim: away, release: away });
  expect(await accessToken.get()).toBe('t1');
  expect(await accessToken.renew('t1')).toBe('t2');
});
