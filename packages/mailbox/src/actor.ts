// One user's actor: events in, one after another; load, reduce, save, effects, ack.
import { backoffMs, describeError, type Logger, RetryableError } from '@pipeline/runtime';
import {
  type ActorCollection,
  type ActorDocument,
  isStoreAway,
  processedIdKey,
  processedIdWrite,
  type SaveOutcome,
  type SideWrite,
  type StoredEffect,
} from '@pipeline/store';
import type { ActorEvent, Behaviour, Edges, OpenCall } from './behaviour.ts';
import type { GroupCommit } from './group-commit.ts';

/** Ids an actor's document keeps itself; older ones move to `processed_ids`. */
const RECENT_IDS = 64;
/**
 * How far ahead `wakeAt` stands while a call is open or effects wait in the document: if it is overdue, whoever owns the
 * partition by then makes the call again or runs the effects. No delivery may be left to remind of them.
 */
const GUARD_MS = 2_000;
/** A call is fenced by a look at the version if its save is older than this: a frozen replica may have lost its partition. */
const FENCE_AFTER_MS = 1_000;
const EFFECT_RETRY_FIRST_MS = 500;
const EFFECT_RETRY_MAX_MS = 30_000;
/** A wake that changed nothing isn't repeated sooner. */
const IDLE_WAKE_PAUSE_MS = 1_000;
/** A wake that throws is never given up, only put off. */
const THROWING_WAKE_PAUSE_MS = 600_000;
/** Lookups in a row for one event; more is a bug in the reducer. */
const MAX_LOOKUPS = 100;
const MAX_TIMER_MS = 2 ** 31 - 1;

/** An event waiting for its actor. */
export interface Input<Ev> {
  event: Ev;
  /** The event is applied and saved, found to change nothing, or given up. */
  saved?(): void;
  /** The event and its effects are done for good: ack the delivery. */
  settle(): void;
  /** The actor was dropped before the event was saved. */
  dropped?(): void;
  /** Judged on a document that may be stale and found to change nothing: judge again on one read afresh. */
  needsFreshDocument?: boolean;
}

/** `retry`: at once; `parked`: it stands in the dead letters; `put-off`: it is a wake, tried again much later. */
export type Verdict = 'retry' | 'parked' | 'put-off';

/** For tests that stop or kill the process between two steps; named after the step just done. */
export type FaultPoint = (step: 'sides-saved' | 'saved' | 'effect-run' | 'removed' | 'acked') => Promise<void> | void;

export interface ActorDeps<S, Ev extends ActorEvent, Fx extends StoredEffect, Call extends OpenCall, Lookup> {
  service: string;
  behaviour: Behaviour<S, Ev, Fx, Call, Lookup>;
  edges: Edges<Ev, Fx, Call, Lookup>;
  collection: ActorCollection<S>;
  load(userKey: string): Promise<ActorDocument<S> | null>;
  isProcessed(key: string): Promise<boolean>;
  groupCommit: GroupCommit<S>;
  now(): number;
  logger: Logger;
  /** Calls under way in this process, by user and id; they outlive the actors that started them. */
  openCalls: Set<string>;
  /** An input threw: decide what becomes of it. */
  failed(userKey: string, input: Input<Ev>, error: unknown): Promise<Verdict>;
  /** The database is away: everything in memory is void. */
  storeAway(error: unknown): void;
  /** The outcome of a call that this actor started. */
  outcome(userKey: string, callKey: string, event: Ev): void;
  onEffectRefused(effect: Fx, error: unknown): void;
  faultPoint?: FaultPoint | undefined;
}

export interface Actor<Ev> {
  push(input: Input<Ev>): void;
  /** No event, effect or unacked delivery is left. */
  isIdle(): boolean;
  /** The next own due time, epoch ms. */
  dueAt(): number | null;
  hasOpenCall(): boolean;
  /** Forgets everything; what was not settled will be delivered again. */
  drop(): void;
  stopTimer(): void;
}

/** What a batch of events adds up to before it is saved. */
interface Draft<S, Fx> {
  state: S;
  effects: Fx[];
  sides: SideWrite[];
  counts: string[];
  recentIds: string[];
}

interface Applied<Ev> {
  input: Input<Ev>;
  /** Acked once this many effects (counted since the document was loaded) have been removed. */
  ackAt: number;
}

export function createActor<S, Ev extends ActorEvent, Fx extends StoredEffect, Call extends OpenCall, Lookup>(
  userKey: string,
  deps: ActorDeps<S, Ev, Fx, Call, Lookup>,
): Actor<Ev> {
  const { behaviour, edges, logger } = deps;
  let inbox: Input<Ev>[] = [];
  /** Taken from the inbox and not saved yet. */
  let inHand: Input<Ev>[] = [];
  /** Saved, their effects not yet removed. */
  let unacked: Applied<Ev>[] = [];
  let document: ActorDocument<S> | null = null;
  /** Counts loads: work begun on an earlier document is void. */
  let epoch = 0;
  /** Monotonic ms when the document was last known to be the stored one. */
  let verifiedAt = 0;
  let isRunning = false;
  let isDropped = false;
  let timer: NodeJS.Timeout | undefined;
  let noWakeBefore = 0;
  /** Set once wakes have thrown too often. */
  let wakesPausedUntil: number | null = null;
  /** The stored `wakeAt` is to be put off, although nothing else has changed. */
  let mustSaveWakeAt = false;
  const wakeType = behaviour.wake().type;

  // Effects: `document.effects` begins with `effectsDone` confirmed ones, which the next save removes.
  let effectsDone = 0;
  let effectsAppended = 0;
  let effectsRemoved = 0;
  let isRunningEffects = false;
  let effectRetryAt: number | null = null;
  /** The `effectRetryAt` that stands in the stored document; while they differ there is something to save. */
  let savedRetryAt: number | null = null;
  let effectFailures = 0;
  /** Set to 1 after a save failed by itself, to find the event that makes it fail. */
  let batchLimit = Number.POSITIVE_INFINITY;

  const run = async () => {
    if (isRunning || isDropped) return;
    isRunning = true;
    try {
      while (!isDropped && (inbox.length > 0 || mustSaveAnyway())) await step();
    } catch (error) {
      if (!isDropped) deps.storeAway(error);
    } finally {
      isRunning = false;
      if (!isDropped) armTimer();
    }
  };

  const isRetryUnsaved = () => effectRetryAt !== null && effectRetryAt !== savedRetryAt;
  const mustSaveAnyway = () => effectsDone > 0 || isRetryUnsaved() || mustSaveWakeAt;

  const step = async () => {
    inHand = inbox.splice(0, batchLimit);
    const isFresh = document === null || inHand.some((input) => input.needsFreshDocument);
    if (isFresh) await loadDocument();
    if (isDropped || document === null) return;
    const base: ActorDocument<S> = document;
    const draft: Draft<S, Fx> = { state: base.state, effects: [], sides: [], counts: [], recentIds: base.recentIds };
    let newestSendTime = base.newestSendTime;
    const applied: Applied<Ev>[] = [];
    const unchanged: Input<Ev>[] = [];
    let failure: { input: Input<Ev>; error: unknown } | null = null;
    let postponed: Input<Ev>[] = [];

    for (const input of inHand) {
      try {
        const known = behaviour.deduplication(input.event);
        if (known && (await isSeen(base, draft.recentIds, known))) {
          applied.push({ input, ackAt: effectsAppended + draft.effects.length });
          continue;
        }
        const before = draft.state;
        const reduced = await reduceFully(draft.state, input.event, draft.sides.length === 0);
        if (reduced === null) {
          postponed = inHand.slice(inHand.indexOf(input));
          break;
        }
        const { state, effects, sides, counts } = reduced;
        const isChanged = state !== before || effects.length > 0 || sides.length > 0 || known !== null;
        draft.state = state;
        draft.effects.push(...effects);
        draft.sides.push(...sides);
        draft.counts.push(...counts);
        if (known) {
          draft.recentIds = [...draft.recentIds, known.id];
          newestSendTime = Math.max(newestSendTime, known.sendTime ?? 0);
        }
        if (isChanged) applied.push({ input, ackAt: effectsAppended + draft.effects.length });
        else unchanged.push(input);
      } catch (error) {
        if (error instanceof RetryableError) throw error;
        failure = { input, error };
        break;
      }
      if (isDropped) return;
    }

    // What comes behind a failing event waits: it is the same user's.
    const handled = applied.length + unchanged.length;
    const behind = failure ? inHand.slice(inHand.indexOf(failure.input) + 1) : [];
    const mustSave =
      draft.state !== base.state ||
      draft.effects.length > 0 ||
      draft.sides.length > 0 ||
      draft.recentIds !== base.recentIds ||
      mustSaveAnyway();
    const removing = effectsDone;
    const outcome = mustSave ? await save(base, draft, newestSendTime, removing) : 'saved';
    if (isDropped) return;
    if (outcome !== 'saved') {
      // Stale: all is reduced again on the newer document. Refused: one by one, until the culprit stands alone.
      const culprit = inHand.length === 1 ? inHand[0] : undefined;
      batchLimit = outcome === 'stale' ? batchLimit : 1;
      inbox = [...inHand, ...inbox];
      inHand = [];
      if (outcome === 'stale') return;
      // Without an event to blame there is nothing to park: begin anew, later.
      if (inbox.length === 0) throw outcome.error;
      if (culprit) await handleFailure(inbox.shift() ?? culprit, outcome.error, []);
      return;
    }
    if (deps.faultPoint && mustSave) {
      await deps.faultPoint('saved');
      if (removing > 0) await deps.faultPoint('removed');
      if (isDropped) return;
    }
    batchLimit = Number.POSITIVE_INFINITY;
    if (draft.counts.length > 0) edges.counted?.(draft.counts);
    for (const { input } of applied) input.saved?.();
    unacked.push(...applied);
    inHand = failure ? [failure.input, ...behind] : [];
    inbox = [...postponed, ...inbox];
    settleUnchanged(unchanged, mustSave || isFresh);
    // A refused effect stands in the document with its due time: no delivery waits on another queue.
    if (effectRetryAt !== null && !isRetryUnsaved()) for (const { input } of unacked.splice(0)) input.settle();
    else ackRemoved();
    await deps.faultPoint?.('acked');
    void runEffects();
    if (handled > 0 || mustSave) await ensureCall(behaviour.callOf(base.state)?.id ?? null);
    if (failure && !isDropped) await handleFailure(failure.input, failure.error, behind);
  };

  const loadDocument = async () => {
    const found = await deps.load(userKey);
    document = found ?? {
      _id: userKey,
      version: 0,
      state: behaviour.initialState(),
      effects: [],
      recentIds: [],
      hasOlderIds: false,
      newestSendTime: 0,
      wakeAt: null,
    };
    delete document.wokenAt;
    verifiedAt = performance.now();
    epoch++;
    effectsDone = 0;
    effectsRemoved = 0;
    effectsAppended = document.effects.length;
    effectRetryAt = null;
    savedRetryAt = null;
    // Effects of earlier inputs are in this document or were removed by whoever saved it.
    unacked = unacked.map(({ input }) => ({ input, ackAt: effectsAppended }));
  };

  const isSeen = async (
    base: ActorDocument<S>,
    recentIds: string[],
    known: { id: string; sendTime: number | null },
  ): Promise<boolean> => {
    if (recentIds.includes(known.id)) return true;
    // An item newer than the newest one applied can't have been applied before.
    if (!base.hasOlderIds || (known.sendTime !== null && known.sendTime > base.newestSendTime)) return false;
    return deps.isProcessed(processedIdKey(deps.service, userKey, known.id));
  };

  /**
   * Reduces an event and the facts that the reducer asks for on the way. Nothing is kept if it throws.
   * @param mayLookUp false while side documents of earlier events are unsaved: a fact may be in one of them
   * @returns null if a fact is needed that may not be looked up yet
   */
  const reduceFully = async (
    before: S,
    event: Ev,
    mayLookUp: boolean,
  ): Promise<Omit<Draft<S, Fx>, 'recentIds'> | null> => {
    const effects: Fx[] = [];
    const sides: SideWrite[] = [];
    const counts: string[] = [];
    let state = before;
    let next = event;
    for (let lookups = 0; ; lookups++) {
      const decision = behaviour.reduce(state, next, { userKey, now: deps.now() });
      state = decision.state;
      effects.push(...decision.effects);
      sides.push(...decision.sides);
      counts.push(...(decision.counts ?? []));
      if (decision.lookup === undefined) return { state, effects, sides, counts };
      if (!mayLookUp) return null;
      if (lookups === MAX_LOOKUPS) throw new Error(`reducer asks without end (${event.type})`);
      next = await edges.lookUp(userKey, decision.lookup);
    }
  };

  /** @returns `stale` if somebody saved in between (the document is then forgotten), or why this save can't be made */
  const save = async (
    base: ActorDocument<S>,
    draft: Draft<S, Fx>,
    newestSendTime: number,
    removing: number,
  ): Promise<SaveOutcome | { error: unknown }> => {
    // Only ids that were saved before move to `processed_ids`, for these are written first: an id found there must
    // never be one whose event isn't applied yet.
    const olderIds = draft.recentIds.slice(0, -RECENT_IDS).slice(0, base.recentIds.length);
    const effects = [...base.effects.slice(removing), ...draft.effects];
    const retryAt = effectRetryAt;
    const savedEpoch = epoch;
    let next: ActorDocument<S>;
    let outcome: SaveOutcome;
    try {
      next = {
        ...base,
        version: base.version + 1,
        state: draft.state,
        effects: effects as ActorDocument<S>['effects'],
        recentIds: draft.recentIds.slice(olderIds.length),
        hasOlderIds: base.hasOlderIds || olderIds.length > 0,
        newestSendTime,
        wakeAt: wakeAtOf(draft.state, effects.length > 0 ? (retryAt ?? deps.now() + GUARD_MS) : null),
      };
      const sides = olderIds.map((id) => processedIdWrite(processedIdKey(deps.service, userKey, id)));
      outcome = await deps.groupCommit.save(next, [...draft.sides, ...sides]);
    } catch (error) {
      if (error instanceof RetryableError || isStoreAway(error)) throw error;
      document = null;
      return { error };
    }
    if (isDropped || epoch !== savedEpoch) return outcome;
    if (outcome === 'stale') {
      logger.info({ userKey, version: base.version }, 'actor.stale');
      document = null;
      return outcome;
    }
    document = next;
    verifiedAt = performance.now();
    savedRetryAt = retryAt;
    mustSaveWakeAt = false;
    effectsDone -= removing;
    effectsRemoved += removing;
    effectsAppended += draft.effects.length;
    return outcome;
  };

  const settleUnchanged = (inputs: Input<Ev>[], isJudgedFresh: boolean) => {
    // Our own call or publish is under way and nothing else is due: the sweep's wake tells us nothing.
    const isAtWork = isRunningEffects || hasOpenCall();
    const doubtful: Input<Ev>[] = [];
    for (const input of inputs) {
      if (isJudgedFresh || (isAtWork && input.event.type === wakeType)) {
        if (input.event.type === wakeType) noWakeBefore = deps.now() + IDLE_WAKE_PAUSE_MS;
        input.saved?.();
        input.settle();
      } else doubtful.push({ ...input, needsFreshDocument: true });
    }
    inbox.unshift(...doubtful);
  };

  /** @param effectsAt when somebody must look after the effects */
  const wakeAtOf = (state: S, effectsAt: number | null): number | null => {
    const call = behaviour.callOf(state);
    return earliest(stateDueAt(state), call && call.startedAt + GUARD_MS, effectsAt);
  };

  const stateDueAt = (state: S): number | null => {
    const due = behaviour.dueAt(state);
    return due === null || wakesPausedUntil === null ? due : Math.max(due, wakesPausedUntil);
  };

  const ackRemoved = () => {
    while (unacked[0] && unacked[0].ackAt <= effectsRemoved) unacked.shift()?.input.settle();
  };

  const handleFailure = async (input: Input<Ev>, error: unknown, behind: Input<Ev>[]) => {
    inHand = [input, ...behind];
    const verdict = await deps.failed(userKey, input, error);
    if (isDropped) return;
    if (verdict !== 'retry') {
      input.saved?.();
      input.settle();
    }
    inbox = [...(verdict === 'retry' ? [input] : []), ...behind, ...inbox];
    inHand = [];
    if (verdict !== 'put-off') return;
    wakesPausedUntil = deps.now() + THROWING_WAKE_PAUSE_MS;
    mustSaveWakeAt = true;
  };

  const runEffects = async () => {
    if (isRunningEffects || (effectRetryAt !== null && deps.now() < effectRetryAt)) return;
    isRunningEffects = true;
    effectRetryAt = null;
    try {
      while (!isDropped && document !== null && effectsDone < document.effects.length) {
        const effect = document.effects[effectsDone] as unknown as Fx;
        const startedEpoch = epoch;
        try {
          await edges.runEffect(userKey, effect);
          effectFailures = 0;
        } catch (error) {
          if (isDropped) return;
          deps.onEffectRefused(effect, error);
          effectRetryAt = deps.now() + backoffMs(effectFailures++, EFFECT_RETRY_FIRST_MS, EFFECT_RETRY_MAX_MS);
          break;
        }
        if (epoch === startedEpoch) effectsDone++;
        await deps.faultPoint?.('effect-run');
      }
    } finally {
      isRunningEffects = false;
    }
    if (isDropped) return;
    if (mustSaveAnyway()) await run();
  };

  const callKey = ({ id }: Call) => `${userKey} ${id}`;

  const hasOpenCall = () => {
    const call = document && behaviour.callOf(document.state);
    return call !== null && deps.openCalls.has(callKey(call));
  };

  /** @param known the call that was open in the document before this step */
  const ensureCall = async (known: string | null) => {
    const call = document && behaviour.callOf(document.state);
    if (isDropped || !call || !document || deps.openCalls.has(callKey(call))) return;
    if (call.id === known) {
      inbox.unshift({ event: behaviour.callLost(call.id), settle: () => {} });
      return;
    }
    if (performance.now() - verifiedAt > FENCE_AFTER_MS) {
      const version = await deps.collection.versionOf(userKey);
      if (isDropped) return;
      if (version !== document.version) {
        document = null;
        inbox.unshift({ event: behaviour.wake(), settle: () => {} });
        return;
      }
      verifiedAt = performance.now();
    }
    deps.openCalls.add(callKey(call));
    edges.call(userKey, call).then(
      (event) => deps.outcome(userKey, callKey(call), event),
      (error) => {
        // An outcome is a value; a rejection is our bug. The guard makes the call again.
        logger.error({ userKey, err: error, stack: error?.stack }, 'call.threw');
        deps.openCalls.delete(callKey(call));
      },
    );
  };

  const armTimer = () => {
    clearTimeout(timer);
    timer = undefined;
    const stateDue = document && stateDueAt(document.state);
    const wakeAt = stateDue !== null && stateDue <= deps.now() ? Math.max(stateDue, noWakeBefore) : stateDue;
    const due = earliest(wakeAt, effectRetryAt);
    if (due === null) return;
    const fire = () => {
      const now = deps.now();
      if (effectRetryAt !== null && effectRetryAt <= now) void runEffects();
      if (wakeAt !== null && wakeAt <= now) push({ event: behaviour.wake(), settle: () => {} });
      // Also when it fired a little early, as timers do, or as late as one timer can wait.
      else armTimer();
    };
    timer = setTimeout(fire, Math.min(Math.ceil(Math.max(0, due - deps.now())), MAX_TIMER_MS));
    timer.unref();
  };

  const push = (input: Input<Ev>) => {
    if (isDropped) return input.dropped?.();
    inbox.push(input);
    run().catch((error) => logger.error({ userKey, err: describeError(error) }, 'actor.failed'));
  };

  return {
    push,
    isIdle: () =>
      !isRunning &&
      inbox.length === 0 &&
      inHand.length === 0 &&
      unacked.length === 0 &&
      !isRunningEffects &&
      effectsDone === 0,
    dueAt: () => earliest(document && stateDueAt(document.state), effectRetryAt),
    hasOpenCall,
    drop() {
      isDropped = true;
      clearTimeout(timer);
      for (const input of [...inHand, ...inbox]) input.dropped?.();
    },
    stopTimer: () => clearTimeout(timer),
  };
}

function earliest(...times: (number | null)[]): number | null {
  const set = times.filter((time) => time !== null);
  return set.length === 0 ? null : Math.min(...set);
}
