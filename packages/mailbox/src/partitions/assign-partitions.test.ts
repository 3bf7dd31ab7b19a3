import { expect, test } from '@jest/globals';
import { assignPartitions } from './assign-partitions.ts';

const PARTITIONS = 24;
const sets = Array.from(
  { length: 40 },
  (_, set) => (count: number) =>
    Array.from({ length: count }, (_, index) => `router@host-${set}-${index}:${1 + ((set * 7 + index) % 5)}`),
);
const countsOf = (names: string[], which: 'owner' | 'standby') => {
  const assigned = assignPartitions(names, PARTITIONS);
  return names.map((name) => assigned.filter((one) => one[which] === name).length);
};

test.each([1, 2, 3, 4, 5, 6, 7])('%i replicas own as much as each other, within one', (count) => {
  for (const replicas of sets) {
    const owned = countsOf(replicas(count), 'owner');
    expect(owned.reduce((sum, one) => sum + one, 0)).toBe(PARTITIONS);
    expect(Math.max(...owned) - Math.min(...owned)).toBeLessThanOrEqual(1);
  }
});

test('the order of the list makes no difference', () => {
  for (const replicas of sets) {
    const names = replicas(5);
    expect(assignPartitions(names.toReversed(), PARTITIONS)).toEqual(assignPartitions(names, PARTITIONS));
  }
});

test('who stands by is another one, and the owner once the owner is gone', () => {
  for (const replicas of sets) {
    const names = replicas(4);
    const assigned = assignPartitions(names, PARTITIONS);
    for (const gone of names) {
      const later = assignPartitions(
        names.filter((name) => name !== gone),
        PARTITIONS,
      );
      for (const [partition, { owner, standby }] of assigned.entries()) {
        expect(standby).not.toBe(owner);
        if (owner === gone) expect(later[partition]?.owner).toBe(standby);
      }
    }
  }
});

test('few partitions move when a replica comes', () => {
  let moved = 0;
  let inevitable = 0;
  for (const replicas of sets)
    for (const count of [1, 2, 3, 4]) {
      const before = assignPartitions(replicas(count), PARTITIONS);
      const after = assignPartitions(replicas(count + 1), PARTITIONS);
      moved += before.filter(({ owner }, partition) => owner !== after[partition]?.owner).length;
      inevitable += Math.floor(PARTITIONS / (count + 1));
    }
  expect(moved / inevitable).toBeLessThan(1.4);
});

test('fewer partitions than replicas: some have none; no replica: nobody owns', () => {
  expect(countsOf(['a', 'b', 'c', 'd'], 'owner').toSorted()).toEqual([6, 6, 6, 6]);
  const assigned = assignPartitions(['a', 'b', 'c'], 2);
  expect(new Set(assigned.map(({ owner }) => owner)).size).toBe(2);
  expect(assignPartitions(['alone'], 2)).toEqual([
    { owner: 'alone', standby: null },
    { owner: 'alone', standby: null },
  ]);
  expect(assignPartitions([], 2)).toEqual([]);
});
