// An actor's document as its partition's owner keeps it in memory: read once, written through, forgotten when in doubt.
import { RetryableError } from '@pipeline/runtime';
import {
  type ActorDocument,
  isStoreAway,
  processedIdsWrite,
  type SaveOutcome,
  type StoredEffect,
} from '@pipeline/store';
import type { ActorDeps } from './actor-types.ts';
import type { ActorEvent, OpenCall } from './behaviour.ts';
import type { Draft } from './reduce-batch.ts';

/** Ids a document keeps itself at least; older ones move to `processed_ids`, many at a time. */
const RECENT_IDS = 8;
const MOVED_IDS = 16;
/** A call is fenced by a look at the version if its save is older than this: a frozen replica may have lost its partition. */
const FENCE_AFTER_MS = 1_000;

export function keepDocument<S, Ev extends ActorEvent, Fx extends StoredEffect, Call extends OpenCall, Lookup>(
  userKey: string,
  deps: Pick<
    ActorDeps<S, Ev, Fx, Call, Lookup>,
    'service' | 'replica' | 'behaviour' | 'collection' | 'groupCommit' | 'logger'
  >,
) {
  let document: ActorDocument<S> | null = null;
  /** Monotonic ms when the document was last known to be the stored one. */
  let verifiedAt = 0;

  const forget = () => {
    document = null;
  };

  /** Who makes the call that `state` has open: whoever saves it first. */
  const callerOf = (state: S, base: ActorDocument<S>): string | undefined => {
    const call = deps.behaviour.callOf(state);
    if (!call) return undefined;
    return call.id === deps.behaviour.callOf(base.state)?.id ? base.caller : deps.replica;
  };

  return {
    current: () => document,
    forget,

    /** @throws RetryableError `store-away` */
    async load(): Promise<ActorDocument<S>> {
      document = {
        _id: userKey,
        version: 0,
        state: deps.behaviour.initialState(),
        effects: [],
        recentIds: [],
        newest: {},
        newestMoved: {},
        wakeAt: null,
        ...(await deps.collection.load(userKey)),
      };
      delete document.wokenAt;
      verifiedAt = performance.now();
      return document;
    },

    /**
     * Writes what was drafted on `base`.
     * @param effects all that are to stand in the document
     * @returns `stale` if somebody saved in between (the document is then forgotten), or why this save can't be made
     * @throws RetryableError `store-away`
     */
    async save(
      base: ActorDocument<S>,
      draft: Draft<S, Fx>,
      effects: StoredEffect[],
      wakeAt: () => number | null,
    ): Promise<SaveOutcome | { error: unknown }> {
      // Only ids that were saved before move to `processed_ids`, for these are written first: an id found there must
      // never be one whose event isn't applied yet.
      const surplus = Math.min(draft.recentIds.length - RECENT_IDS, base.recentIds.length);
      const olderIds = surplus < MOVED_IDS ? [] : draft.recentIds.slice(0, surplus);
      const moved = olderIds.length === 0 ? [] : [processedIdsWrite(deps.service, userKey, olderIds)];
      const begunAt = performance.now();
      let next: ActorDocument<S>;
      let outcome: SaveOutcome;
      try {
        next = {
          ...base,
          version: base.version + 1,
          state: draft.state,
          effects,
          recentIds: draft.recentIds.slice(olderIds.length),
          newest: draft.newest,
          newestMoved: moved.length > 0 ? base.newest : base.newestMoved,
          wakeAt: wakeAt(),
          caller: callerOf(draft.state, base),
        };
        outcome = await deps.groupCommit.save(next, [...draft.sides, ...moved]);
      } catch (error) {
        if (error instanceof RetryableError || isStoreAway(error)) throw error;
        forget();
        return { error };
      }
      if (outcome === 'stale') {
        deps.logger.info({ userKey, version: base.version }, 'actor.stale');
        forget();
      } else {
        document = next;
        verifiedAt = begunAt;
      }
      return outcome;
    },

    /** Whether it is still the stored one: looked up if that was last certain too long ago. @throws RetryableError `store-away` */
    async isCurrent(): Promise<boolean> {
      if (performance.now() - verifiedAt <= FENCE_AFTER_MS) return true;
      if ((await deps.collection.versionOf(userKey)) !== document?.version) return false;
      verifiedAt = performance.now();
      return true;
    },
  };
}
