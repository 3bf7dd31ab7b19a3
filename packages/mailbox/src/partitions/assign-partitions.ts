// Which replica reads which partition: computed by every replica for itself, from nothing but the list of those alive.
import { createHash } from 'node:crypto';

export interface Assignment {
  owner: string;
  /** Who would own it without the owner, so that a crash moves it once; null if nobody else is alive. */
  standby: string | null;
}

/**
 * Rendezvous hashing with exact quotas: no replica has more than one partition more than another, and few move when a
 * replica comes or goes (docs/adr/0008).
 * @param replicas names of those alive, in any order
 * @returns by partition; empty if nobody is alive
 */
export function assignPartitions(replicas: readonly string[], partitions: number): Assignment[] {
  const without = new Map(
    replicas.map((gone) => {
      const others = replicas.filter((name) => name !== gone);
      return [gone, ownersOf(others, partitions)];
    }),
  );
  return ownersOf(replicas, partitions).map((owner, partition) => ({
    owner,
    standby: without.get(owner)?.[partition] ?? null,
  }));
}

/**
 * A stable matching: each partition asks the replicas in the order of its hashes, each replica keeps up to its quota of
 * those that come closest. The result doesn't depend on the order in which anybody asks.
 */
function ownersOf(replicas: readonly string[], partitions: number): string[] {
  const share = Math.floor(partitions / replicas.length);
  const withOneMore = [...replicas].sort((a, b) => hash(b) - hash(a)).slice(0, partitions % replicas.length);
  const closeness = new Map(
    replicas.map((name) => [name, Array.from({ length: partitions }, (_, partition) => hash(`${name} ${partition}`))]),
  );
  const close = (name: string, partition: number) => closeness.get(name)?.[partition] ?? 0;
  const wishes = Array.from({ length: partitions }, (_, partition) =>
    [...replicas].sort((a, b) => close(b, partition) - close(a, partition)),
  );
  const kept = new Map<string, number[]>(replicas.map((name) => [name, []]));
  const asking = [...wishes.keys()];
  while (asking.length > 0) {
    const partition = asking.shift() ?? 0;
    const name = wishes[partition]?.shift();
    const mine = name === undefined ? undefined : kept.get(name);
    if (name === undefined || !mine) break; // nobody is alive
    mine.push(partition);
    mine.sort((a, b) => close(name, b) - close(name, a));
    asking.push(...mine.splice(share + (withOneMore.includes(name) ? 1 : 0)));
  }
  const owners: string[] = [];
  for (const [name, mine] of kept) for (const partition of mine) owners[partition] = name;
  return owners;
}

/** 48 bits of SHA-1: short hashes of nearly equal names would order replicas alike for all partitions. */
function hash(text: string): number {
  return createHash('sha1').update(text).digest().readUIntBE(0, 6);
}
