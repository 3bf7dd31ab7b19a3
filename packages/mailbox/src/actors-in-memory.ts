// The actors that this process has in memory, by user: made when needed, forgotten when idle or when their partition goes.
import { waitUntil } from '@pipeline/runtime';
import type { Actor } from './actor-types.ts';

/** Actors kept in memory, unless told otherwise; beyond it idle ones go. */
const MAX_ACTORS = 5_000;
/** Idle actors with a due time nearer than this stay: their own timer is more exact than the sweep. */
const KEEP_IF_DUE_WITHIN_MS = 10_000;
/** After a look for idle actors that found none. */
const EVICTION_PAUSE_MS = 1_000;
const DRAIN_MS = 3_000;

export interface ActorsInMemory<Ev> {
  get(userKey: string): Actor<Ev> | undefined;
  getOrCreate(userKey: string, partition: number): Actor<Ev>;
  size(): number;
  /** What rests anywhere is saved at once. */
  hurry(): void;
  /** Forgets a partition's actors; what they had not settled is delivered again. */
  dropPartition(partition: number): void;
  /** Waits, within bounds, until a paused partition's actors have finished their events and effects. Calls go on. */
  drainPartition(partition: number): Promise<void>;
}

export function createActorsInMemory<Ev>(options: {
  create(userKey: string): Actor<Ev>;
  now(): number;
  maxActors?: number | undefined;
}): ActorsInMemory<Ev> {
  const { maxActors = MAX_ACTORS } = options;
  const actors = new Map<string, { actor: Actor<Ev>; partition: number }>();
  let noEvictionBefore = 0;

  const evictIdle = () => {
    for (const [userKey, { actor }] of actors) {
      const due = actor.dueAt();
      if (!actor.isIdle() || actor.hasOpenCall()) continue;
      if (due !== null && due - options.now() < KEEP_IF_DUE_WITHIN_MS) continue;
      actor.drop();
      actors.delete(userKey);
      if (actors.size < maxActors * 0.9) return;
    }
    // Nearly all are busy: looking through them again for each newcomer would cost more than they do.
    noEvictionBefore = performance.now() + EVICTION_PAUSE_MS;
  };

  return {
    get: (userKey) => actors.get(userKey)?.actor,
    getOrCreate(userKey, partition) {
      const known = actors.get(userKey);
      if (known) return known.actor;
      if (actors.size >= maxActors && performance.now() >= noEvictionBefore) evictIdle();
      const actor = options.create(userKey);
      actors.set(userKey, { actor, partition });
      return actor;
    },
    size: () => actors.size,
    hurry() {
      for (const { actor } of actors.values()) if (!actor.isIdle()) actor.hurry();
    },
    dropPartition(partition) {
      for (const [userKey, entry] of actors) {
        if (entry.partition !== partition) continue;
        actors.delete(userKey);
        entry.actor.drop();
      }
    },
    async drainPartition(partition) {
      const draining = [...actors].filter(([, entry]) => entry.partition === partition);
      for (const [, { actor }] of draining) actor.leave();
      const isDone = () => draining.every(([userKey, entry]) => actors.get(userKey) !== entry || entry.actor.isIdle());
      await waitUntil(isDone, DRAIN_MS);
    },
  };
}
