import { beforeEach, expect, test } from '@jest/globals';
import { GETTOKEN, noAnswer, quotaSpent, refusal } from '@pipeline/wecom';
import { type AccountGates, createAccountGates } from './account-gates.ts';

const GONE = refusal('kf/send_msg', 95004, '');

let now = 0;
let gates: AccountGates;
beforeEach(() => {
  now = 1_000;
  gates = createAccountGates(
    () => now,
    () => 0.5,
  );
});

test('open gates let everybody through', () => {
  expect([gates.enter('a'), gates.enter('a'), gates.enter('b'), gates.problem()]).toEqual([0, 0, 0, null]);
});

test('while a setting is wrong, one call in half a minute goes through, however many wait', () => {
  gates.refused('a', GONE);
  expect(gates.problem()).toMatch(/^a: kf\/send_msg: 95004, .*Correct the KF account id/);
  for (let round = 0; round < 3; round++) {
    now += 30_000;
    const waits = Array.from({ length: 100 }, () => gates.enter('a'));
    expect(waits.filter((wait) => wait === 0)).toHaveLength(1);
    expect(Math.min(...waits.slice(1))).toBeGreaterThanOrEqual(30_000);
  }
});

test('what is wrong with one account stops no other', () => {
  gates.refused('a', GONE);
  gates.opened('b');
  expect([gates.enter('b'), gates.enter('b')]).toEqual([0, 0]);
  expect(gates.enter('a')).toBeGreaterThan(0);
  expect(gates.problem()).toMatch(/^a: /);
});

test('without a token there is nothing to ask for any account, and a call that goes through opens all', () => {
  gates.refused('a', refusal(GETTOKEN, 40013, ''));
  expect(gates.problem()).toMatch(/^gettoken: 40013/);
  expect(gates.enter('b')).toBeGreaterThan(0);
  now += 30_000;
  expect(gates.enter('b')).toBe(0);
  expect(gates.enter('a')).toBeGreaterThan(0);
  gates.opened('b');
  expect([gates.enter('a'), gates.enter('b'), gates.problem()]).toEqual([0, 0, null]);
});

test('a call that goes through opens the gate of its account', () => {
  gates.refused('a', GONE);
  now += 30_000;
  gates.enter('a');
  gates.opened('a');
  expect([gates.enter('a'), gates.enter('a'), gates.problem()]).toEqual([0, 0, null]);
});

test('a spent quota is that of all accounts, passes by itself and is nothing to mend', () => {
  gates.refused('a', quotaSpent('kf/send_msg', 60_000));
  expect([gates.problem(), gates.enter('b')]).toEqual([null, 61_000]);
  gates.opened('b');
  expect(gates.enter('a')).toBeGreaterThan(0);
  now += 60_000;
  expect([gates.enter('a'), gates.enter('b')]).toEqual([0, 0]);
});

test('a problem that nobody asks about any more is not told for ever', () => {
  gates.refused('a', GONE);
  now += 299_000;
  expect(gates.problem()).not.toBeNull();
  now += 1_000;
  expect(gates.problem()).toBeNull();
});

test('a call without an answer changes nothing', () => {
  gates.refused('a', noAnswer('kf/send_msg', 'wecom-timeout', 'no answer', true));
  expect([gates.enter('a'), gates.problem()]).toEqual([0, null]);
});
