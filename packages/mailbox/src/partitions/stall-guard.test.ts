import { expect, test } from '@jest/globals';
import { RetryableError } from '@pipeline/runtime';
import { createStallGuard } from './stall-guard.ts';

function setUp(probe: () => Promise<void> = async () => {}) {
  let probes = 0;
  let noticed = 0;
  const guard = createStallGuard({
    probe() {
      probes++;
      return probe();
    },
    noticed: () => noticed++,
  });
  return {
    guard,
    probes: () => probes,
    noticed: () => noticed,
    async look(times: number, isExpecting = true) {
      for (let n = 0; n < times; n++) {
        guard.look(isExpecting);
        await Promise.resolve();
        await Promise.resolve();
      }
    },
  };
}

test('30 looks without a delivery, the last 10 with a message in the queue: noticed, and again after 30 more', async () => {
  const { guard, look, probes, noticed } = setUp();
  await look(29);
  expect([probes(), noticed(), guard.isStalled()]).toEqual([1, 0, false]);
  await look(1);
  expect([noticed(), guard.isStalled()]).toEqual([1, true]);
  await look(30);
  expect([probes(), noticed()]).toEqual([2, 2]);
  guard.delivered();
  expect(guard.isStalled()).toBe(false);
});

test('a partition that delivers its probe is only quiet', async () => {
  const { guard, look, noticed } = setUp();
  for (let round = 0; round < 5; round++) {
    await look(20);
    guard.delivered();
  }
  expect(noticed()).toBe(0);
});

test('a probe that was delivered before it was confirmed is no stall', async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const { guard, look, noticed } = setUp(() => promise);
  await look(20);
  guard.delivered();
  resolve();
  await look(19);
  expect(noticed()).toBe(0);
});

test('a full queue has something to deliver; a broker that is away has not', async () => {
  const full = setUp(() => Promise.reject(new RetryableError('publish-refused', 'full')));
  await full.look(30);
  expect(full.noticed()).toBe(1);
  const away = setUp(() => Promise.reject(new RetryableError('broker-away', 'away')));
  await away.look(100);
  expect(away.noticed()).toBe(0);
});

test('whoever is no owner, or holds as much as it may, expects nothing', async () => {
  const { look, probes, noticed } = setUp();
  for (let round = 0; round < 5; round++) {
    await look(19);
    await look(1, false);
  }
  expect([probes(), noticed()]).toEqual([0, 0]);
});
