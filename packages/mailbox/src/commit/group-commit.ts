// Saves of many actors in few round trips: side documents first, then the actors' own.
//
// One document of an actor is
//   waiting   'soon': for the actor's next commit, or for a second at most
//   urgent    'now': for the next round trip, or for the end of the actor's write that is under way
//   writing
// A newer document supersedes one that waits or is urgent: it holds all that the older one did, so one write does for
// both, and both commits end alike. Never are two documents of one actor being written, and what was drafted on a
// document that turned out stale is stale too: then nothing overtakes, and nothing is written on another's shoulders.
import { untilTick } from '@pipeline/runtime';
import {
  type ActorCollection,
  type ActorDocument,
  grouped,
  isStoreAway,
  type SaveOutcome,
  type SideWrite,
} from '@pipeline/store';
import type { FaultPoint } from '../fault-point.ts';

/**
 * A deferred save waits for at least so long, and then for the next tick, at which all of them share a round trip. Adds
 * as much to the time in which a crash makes a call or a publish be repeated under its old id; less than the guard of a
 * call (GUARD_MS), which such an actor still shows to the sweep.
 */
const SOON_MS = 750;

export type Urgency = 'now' | 'soon';

export interface Save<S> {
  document: ActorDocument<S>;
  /** The version of the document that it was drafted on. */
  replaces: number;
  /** Written before the document. */
  sideWrites: SideWrite[];
}

interface Pending<S> extends Save<S> {
  since: number;
  settled: PromiseWithResolvers<SaveOutcome>[];
}

interface Lane<S> {
  next: Pending<S> | null;
  isUrgent: boolean;
  isWriting: boolean;
}

export class GroupCommit<S> {
  readonly #lanes = new Map<string, Lane<S>>();
  readonly #write: (save: Save<S>) => Promise<SaveOutcome | { error: unknown }>;
  #timer: NodeJS.Timeout | undefined;

  constructor(
    collection: Pick<ActorCollection<S>, 'saveAll'>,
    applySideWrites: (writes: readonly SideWrite[]) => Promise<void>,
    faultPoint?: FaultPoint,
  ) {
    this.#write = grouped((saves: Save<S>[]) => writeAll(saves, collection, applySideWrites, faultPoint));
  }

  /**
   * @returns once it is written: `stale` if somebody else saved in between
   * @throws RetryableError `store-away` (outcome unknown), or the driver's error if this document can't be written
   */
  commit(save: Save<S>, urgency: Urgency): Promise<SaveOutcome> {
    const key = save.document._id;
    const lane = this.#lanes.get(key) ?? { next: null, isUrgent: false, isWriting: false };
    this.#lanes.set(key, lane);
    const settled = Promise.withResolvers<SaveOutcome>();
    const before = lane.next;
    lane.next = before
      ? { ...before, document: save.document, sideWrites: [...before.sideWrites, ...save.sideWrites] }
      : { ...save, since: performance.now(), settled: [] };
    lane.next.settled.push(settled);
    if (urgency === 'now') lane.isUrgent = true;
    this.#advance(key, lane);
    return settled.promise;
  }

  /** Writes all that waits, at once. */
  flush(): void {
    this.#writeThoseSince(Number.POSITIVE_INFINITY);
  }

  #advance(key: string, lane: Lane<S>): void {
    if (lane.isWriting) return;
    if (!lane.next) this.#lanes.delete(key);
    else if (lane.isUrgent) void this.#writeNext(key, lane, lane.next);
    else this.#timer ??= setTimeout(() => this.#tick(), untilTick()).unref();
  }

  async #writeNext(key: string, lane: Lane<S>, pending: Pending<S>): Promise<void> {
    Object.assign(lane, { next: null, isUrgent: false, isWriting: true });
    const outcome = await this.#write(pending);
    lane.isWriting = false;
    const ended = [...pending.settled];
    if (outcome !== 'saved' && lane.next) {
      ended.push(...lane.next.settled);
      lane.next = null;
    }
    for (const { resolve, reject } of ended)
      if (typeof outcome === 'object') reject(outcome.error);
      else resolve(outcome);
    this.#advance(key, lane);
  }

  #tick(): void {
    this.#timer = undefined;
    this.#writeThoseSince(performance.now() - SOON_MS);
  }

  #writeThoseSince(latest: number): void {
    for (const [key, lane] of this.#lanes) {
      if (lane.next && lane.next.since <= latest) lane.isUrgent = true;
      this.#advance(key, lane);
    }
  }
}

async function writeAll<S>(
  saves: Save<S>[],
  collection: Pick<ActorCollection<S>, 'saveAll'>,
  applySideWrites: (writes: readonly SideWrite[]) => Promise<void>,
  faultPoint?: FaultPoint,
): Promise<(SaveOutcome | { error: unknown })[]> {
  try {
    const sideWrites = saves.flatMap((save) => save.sideWrites);
    if (sideWrites.length > 0) await applySideWrites(sideWrites);
    await faultPoint?.('side-writes-saved');
    return await collection.saveAll(saves);
  } catch (error) {
    if (saves.length === 1 || isStoreAway(error)) return saves.map(() => ({ error }));
    // One document that can't be written must not fail its neighbours; or all of them are too much for one command.
    const half = Math.ceil(saves.length / 2);
    const writeHalf = (part: Save<S>[]) => writeAll(part, collection, applySideWrites, faultPoint);
    return [...(await writeHalf(saves.slice(0, half))), ...(await writeHalf(saves.slice(half)))];
  }
}
