import { beforeEach, expect, test } from '@jest/globals';
import { type AccountGate, createAccountGate } from './account-gate.ts';

let now = 0;
let gate: AccountGate;
beforeEach(() => {
  now = 1_000;
  gate = createAccountGate(
    () => now,
    () => 0.5,
  );
});

test('an open gate lets everybody through', () => {
  expect([gate.enter(), gate.enter(), gate.problem()]).toEqual([0, 0, null]);
});

test('while a setting is wrong, one call in half a minute goes through, however many wait', () => {
  gate.fail('mend it');
  expect(gate.problem()).toBe('mend it');
  for (let round = 0; round < 3; round++) {
    now += 30_000;
    const waits = Array.from({ length: 100 }, () => gate.enter());
    expect(waits.filter((wait) => wait === 0)).toHaveLength(1);
    expect(Math.min(...waits.slice(1))).toBeGreaterThanOrEqual(30_000);
  }
});

test('a call that goes through opens the gate for all', () => {
  gate.fail('mend it');
  now += 30_000;
  gate.enter();
  gate.opened();
  expect([gate.enter(), gate.enter(), gate.problem()]).toEqual([0, 0, null]);
});

test('a pause passes by itself and is nothing to mend', () => {
  gate.pause(60_000);
  expect(gate.problem()).toBeNull();
  expect(gate.enter()).toBe(61_000);
  gate.opened();
  expect(gate.enter()).toBeGreaterThan(0);
  now += 60_000;
  expect([gate.enter(), gate.enter()]).toEqual([0, 0]);
});
