import { expect, test } from '@jest/globals';
import { createLogger } from '@pipeline/runtime';
import type { Replica, Store } from '@pipeline/store';
import { joinMembership } from './membership.ts';

test('a replica that a read finds twice, or that has said more since, counts once and by its last word', async () => {
  const found: Replica[] = [
    { name: 'b', subscribed: { 0: 1 } },
    { name: 'a', subscribed: {} },
    { name: 'b', subscribed: { 0: 2 } },
  ];
  const replicas = { alive: async () => found, beat: async () => {}, leave: async () => {} };
  const store = { replicas, now: () => 0 } as unknown as Pick<Store, 'replicas' | 'now'>;
  const { promise, resolve } = Promise.withResolvers<Replica[]>();
  const membership = joinMembership({
    service: 'router',
    name: 'a',
    store,
    logger: createLogger({ service: 'test', level: 'silent' }),
    subscribed: () => ({ 1: 3 }),
    onAlive: resolve,
  });
  expect(await promise).toEqual([
    { name: 'b', subscribed: { 0: 2 } },
    { name: 'a', subscribed: { 1: 3 }, isLeaving: false },
  ]);
  await membership.leave();
});
