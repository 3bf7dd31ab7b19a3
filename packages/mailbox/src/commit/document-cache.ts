// An actor's document as its partition's owner keeps it in memory: read once, written through, forgotten when in doubt.
import { type Logger, RetryableError } from '@pipeline/runtime';
import {
  type ActorCollection,
  type ActorDocument,
  isStoreAway,
  processedIdsWrite,
  type SaveOutcome,
  type StoredEffect,
} from '@pipeline/store';
import type { Draft } from '../actor/reduce-batch.ts';
import type { ActorTypes, Behaviour } from '../behaviour.ts';
import type { GroupCommit, Urgency } from './group-commit.ts';

/** Ids a document keeps itself at least; older ones move to `processed_ids`, many at a time. */
const RECENT_IDS = 8;
const MOVED_IDS = 16;
/** Before a call the version is looked up if its save is older than this: a frozen replica may have lost its partition. */
const VERIFY_AFTER_MS = 1_000;

export interface DocumentCacheDeps<T extends ActorTypes> {
  service: string;
  replica: string;
  behaviour: Behaviour<T>;
  collection: ActorCollection<T['state']>;
  groupCommit: GroupCommit<T['state']>;
  logger: Logger;
}

export class DocumentCache<T extends ActorTypes> {
  readonly #userKey: string;
  readonly #deps: DocumentCacheDeps<T>;
  #document: ActorDocument<T['state']> | null = null;
  /** The version that is stored, as far as we know: a deferred one isn't yet. */
  #storedVersion = 0;
  /** Monotonic ms when that was last certain. */
  #verifiedAt = 0;

  constructor(userKey: string, deps: DocumentCacheDeps<T>) {
    this.#userKey = userKey;
    this.#deps = deps;
  }

  /** The newest: stored, or about to be ('soon'). Null if it has to be loaded. */
  current(): ActorDocument<T['state']> | null {
    return this.#document;
  }

  forget(): void {
    this.#document = null;
  }

  /** @throws RetryableError `store-away` */
  async load(): Promise<ActorDocument<T['state']>> {
    const document: ActorDocument<T['state']> = {
      _id: this.#userKey,
      version: 0,
      state: this.#deps.behaviour.initialState(),
      effects: [],
      recentIds: [],
      newest: {},
      newestMoved: {},
      wakeAt: null,
      ...(await this.#deps.collection.load(this.#userKey)),
    };
    delete document.wokenAt;
    this.#document = document;
    this.#storedVersion = document.version;
    this.#verifiedAt = performance.now();
    return document;
  }

  /**
   * Writes what was drafted on `base`. Deferred, it is current at once; else once it is stored.
   * @param effects all that are to stand in the document
   * @returns `stale` if somebody saved in between (the document is then forgotten), or why it can't be written
   * @throws RetryableError `store-away`
   */
  async commit(
    base: ActorDocument<T['state']>,
    draft: Draft<T>,
    { effects, wakeAt }: { effects: StoredEffect[]; wakeAt: number | null },
    urgency: Urgency,
  ): Promise<SaveOutcome | { error: unknown }> {
    if (this.#document !== base) return 'stale';
    const olderIds = this.#storedVersion === base.version ? idsToMove(base.recentIds, draft.recentIds) : [];
    const moved = olderIds.length === 0 ? [] : [processedIdsWrite(this.#deps.service, this.#userKey, olderIds)];
    const next: ActorDocument<T['state']> = {
      ...base,
      version: base.version + 1,
      state: draft.state,
      effects,
      recentIds: draft.recentIds.slice(olderIds.length),
      newest: draft.newest,
      newestMoved: moved.length > 0 ? base.newest : base.newestMoved,
      wakeAt,
      caller: this.#callerOf(draft.state, base),
    };
    const begunAt = performance.now();
    if (urgency === 'soon') this.#document = next;
    const save = { document: next, replaces: base.version, sideWrites: [...draft.sideWrites, ...moved] };
    try {
      const outcome = await this.#deps.groupCommit.commit(save, urgency);
      if (outcome === 'saved') {
        if (urgency === 'now') this.#document = next;
        this.#storedVersion = Math.max(this.#storedVersion, next.version);
        this.#verifiedAt = begunAt;
      } else {
        this.#deps.logger.info({ userKey: this.#userKey, version: base.version }, 'actor.stale');
        this.forget();
      }
      return outcome;
    } catch (error) {
      if (error instanceof RetryableError || isStoreAway(error)) throw error;
      this.forget();
      return { error };
    }
  }

  /** Whether it is still the stored one: looked up if that was last certain too long ago. @throws RetryableError `store-away` */
  async isCurrent(): Promise<boolean> {
    if (performance.now() - this.#verifiedAt <= VERIFY_AFTER_MS) return true;
    if ((await this.#deps.collection.versionOf(this.#userKey)) !== this.#storedVersion) return false;
    this.#verifiedAt = performance.now();
    return true;
  }

  /** Who makes the call that `state` has open: whoever saves it first. */
  #callerOf(state: T['state'], base: ActorDocument<T['state']>): string | undefined {
    const { behaviour, replica } = this.#deps;
    const call = behaviour.callOf(state);
    if (!call) return undefined;
    return call.id === behaviour.callOf(base.state)?.id ? base.caller : replica;
  }
}

/**
 * Only ids that are stored move to `processed_ids`, for these are written first: an id found there must never be one
 * whose event isn't applied yet.
 */
function idsToMove(saved: readonly string[], drafted: readonly string[]): string[] {
  const surplus = Math.min(drafted.length - RECENT_IDS, saved.length);
  return surplus < MOVED_IDS ? [] : drafted.slice(0, surplus);
}
