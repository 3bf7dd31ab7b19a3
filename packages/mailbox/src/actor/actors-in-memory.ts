// The actors that this process has in memory, by user: made when needed, forgotten when idle or when their partition goes.
import type { ActorTypes } from '../behaviour.ts';
import type { Actor } from './actor.ts';

/** Actors kept in memory, unless told otherwise; beyond it idle ones go. */
const MAX_ACTORS = 5_000;
/** Idle actors with a due time nearer than this stay: their own timer is more exact than the sweep. */
const KEEP_IF_DUE_WITHIN_MS = 10_000;
/** After a look for idle actors that found none. */
const EVICTION_PAUSE_MS = 1_000;

export class ActorsInMemory<T extends ActorTypes> {
  readonly #create: (userKey: string) => Actor<T>;
  readonly #now: () => number;
  readonly #maxActors: number;
  readonly #actors = new Map<string, { actor: Actor<T>; partition: number }>();
  #noEvictionBefore = 0;

  constructor(options: { create(userKey: string): Actor<T>; now(): number; maxActors?: number | undefined }) {
    this.#create = options.create;
    this.#now = options.now;
    this.#maxActors = options.maxActors ?? MAX_ACTORS;
  }

  get(userKey: string): Actor<T> | undefined {
    return this.#actors.get(userKey)?.actor;
  }

  getOrCreate(userKey: string, partition: number): Actor<T> {
    const known = this.get(userKey);
    if (known) return known;
    if (this.#actors.size >= this.#maxActors && performance.now() >= this.#noEvictionBefore) this.#evictIdle();
    const actor = this.#create(userKey);
    this.#actors.set(userKey, { actor, partition });
    return actor;
  }

  size(): number {
    return this.#actors.size;
  }

  /** Whether a partition's actors have finished their events and effects. Calls go on. */
  areIdle(partition: number): boolean {
    return this.#actors.values().every((entry) => entry.partition !== partition || entry.actor.isIdle());
  }

  /** Forgets a partition's actors; what they had not acked is delivered again. */
  dropPartition(partition: number): void {
    for (const [userKey, entry] of this.#actors) {
      if (entry.partition !== partition) continue;
      this.#actors.delete(userKey);
      entry.actor.drop();
    }
  }

  #evictIdle(): void {
    for (const [userKey, { actor }] of this.#actors) {
      const due = actor.dueAt();
      if (!actor.isIdle() || actor.hasOpenCall()) continue;
      if (due !== null && due - this.#now() < KEEP_IF_DUE_WITHIN_MS) continue;
      actor.drop();
      this.#actors.delete(userKey);
      if (this.#actors.size < this.#maxActors * 0.9) return;
    }
    // Nearly all are busy: looking through them again for each newcomer would cost more than they do.
    this.#noEvictionBefore = performance.now() + EVICTION_PAUSE_MS;
  }
}
