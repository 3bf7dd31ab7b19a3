// One user's actor: events in, one after another; load, reduce, save, effects, ack.
import { describeError, RetryableError } from '@pipeline/runtime';
import {
  type ActorDocument,
  isStoreAway,
  processedIdKey,
  processedIdWrite,
  type SaveOutcome,
  type StoredEffect,
} from '@pipeline/store';
import type { Actor, ActorDeps, Input } from './actor-types.ts';
import type { ActorEvent, OpenCall } from './behaviour.ts';
import { createEffectRunner } from './effect-runner.ts';
import { createBatchReducer, type Draft } from './reduce-batch.ts';

/** Ids an actor's document keeps itself at least; older ones move to `processed_ids`, many at a time. */
const RECENT_IDS = 64;
const MOVED_IDS = 32;
/**
 * How far ahead `wakeAt` stands while a call is open or effects wait in the document: if it is overdue, whoever owns the
 * partition by then makes the call again or runs the effects. No delivery may be left to remind of them.
 */
const GUARD_MS = 2_000;
/** A call is fenced by a look at the version if its save is older than this: a frozen replica may have lost its partition. */
const FENCE_AFTER_MS = 1_000;
/** A wake that changed nothing isn't repeated sooner. */
const IDLE_WAKE_PAUSE_MS = 1_000;
/** A wake that throws is never given up, only put off. */
const THROWING_WAKE_PAUSE_MS = 600_000;
const MAX_TIMER_MS = 2 ** 31 - 1;

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

  /** Set to 1 after a save failed by itself, to find the event that makes it fail. */
  let batchLimit = Number.POSITIVE_INFINITY;

  const reduceBatch = createBatchReducer(userKey, deps);
  const effects = createEffectRunner<S, Fx>({
    document: () => (isDropped ? null : document),
    runEffect: (effect) => edges.runEffect(userKey, effect),
    now: deps.now,
    onRefused: deps.onEffectRefused,
    onProgress: () => run(),
    faultPoint: deps.faultPoint,
  });

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

  const mustSaveAnyway = () => effects.mustSave() || mustSaveWakeAt;

  const step = async () => {
    inHand = inbox.splice(0, batchLimit);
    const isFresh = document === null || inHand.some((input) => input.needsFreshDocument);
    if (isFresh) await loadDocument();
    if (isDropped || document === null) return;
    const base: ActorDocument<S> = document;
    const judged = inHand.filter((input) => !isPausedWake(input));
    const batch = await reduceBatch(base, judged);
    if (isDropped) return;
    const { draft, failure, postponed } = batch;
    const unchanged = [...batch.unchanged, ...inHand.filter(isPausedWake)];
    const applied = batch.applied.map((one) => ({ input: one.input, ackAt: effects.appended() + one.effects }));
    // What comes behind a failing event waits: it is the same user's.
    const handled = applied.length + unchanged.length;
    const behind = failure ? judged.slice(judged.indexOf(failure.input) + 1) : [];
    const mustSave =
      draft.state !== base.state ||
      draft.effects.length > 0 ||
      draft.sides.length > 0 ||
      draft.recentIds !== base.recentIds ||
      mustSaveAnyway();
    const removing = effects.done();
    const outcome = mustSave ? await save(base, draft, removing) : 'saved';
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
    if (effects.isRefusalSaved()) for (const { input } of unacked.splice(0)) input.settle();
    else ackRemoved();
    await deps.faultPoint?.('acked');
    void effects.run();
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
      newest: {},
      wakeAt: null,
    };
    delete document.wokenAt;
    verifiedAt = performance.now();
    effects.loaded(document.effects.length);
    // Effects of earlier inputs are in this document or were removed by whoever saved it.
    unacked = unacked.map(({ input }) => ({ input, ackAt: effects.appended() }));
  };

  /** @returns `stale` if somebody saved in between (the document is then forgotten), or why this save can't be made */
  const save = async (
    base: ActorDocument<S>,
    draft: Draft<S, Fx>,
    removing: number,
  ): Promise<SaveOutcome | { error: unknown }> => {
    // Only ids that were saved before move to `processed_ids`, for these are written first: an id found there must
    // never be one whose event isn't applied yet.
    const surplus = Math.min(draft.recentIds.length - RECENT_IDS, base.recentIds.length);
    const olderIds = surplus < MOVED_IDS ? [] : draft.recentIds.slice(0, surplus);
    const nextEffects = [...base.effects.slice(removing), ...draft.effects];
    const retryAt = effects.retryAt();
    let next: ActorDocument<S>;
    let outcome: SaveOutcome;
    try {
      next = {
        ...base,
        version: base.version + 1,
        state: draft.state,
        effects: nextEffects as ActorDocument<S>['effects'],
        recentIds: draft.recentIds.slice(olderIds.length),
        hasOlderIds: base.hasOlderIds || olderIds.length > 0,
        newest: draft.newest,
        wakeAt: wakeAtOf(draft.state, nextEffects.length > 0 ? (retryAt ?? deps.now() + GUARD_MS) : null),
      };
      const sides = olderIds.map((id) => processedIdWrite(processedIdKey(deps.service, userKey, id)));
      outcome = await deps.groupCommit.save(next, [...draft.sides, ...sides]);
    } catch (error) {
      if (error instanceof RetryableError || isStoreAway(error)) throw error;
      document = null;
      return { error };
    }
    if (isDropped) return outcome;
    if (outcome === 'stale') {
      logger.info({ userKey, version: base.version }, 'actor.stale');
      document = null;
      return outcome;
    }
    document = next;
    verifiedAt = performance.now();
    mustSaveWakeAt = false;
    effects.saved(removing, draft.effects.length, retryAt);
    return outcome;
  };

  const settleUnchanged = (inputs: Input<Ev>[], isJudgedFresh: boolean) => {
    // Our own call or publish is under way and nothing else is due: the sweep's wake tells us nothing.
    const isAtWork = effects.isRunning() || hasOpenCall();
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

  const isPausedWake = ({ event }: Input<Ev>) =>
    event.type === wakeType && wakesPausedUntil !== null && deps.now() < wakesPausedUntil;

  const ackRemoved = () => {
    while (unacked[0] && unacked[0].ackAt <= effects.removed()) unacked.shift()?.input.settle();
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
    const due = earliest(wakeAt, effects.retryAt());
    if (due === null) return;
    const fire = () => {
      const now = deps.now();
      if ((effects.retryAt() ?? now + 1) <= now) void effects.run();
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
      !effects.isRunning() &&
      effects.done() === 0,
    dueAt: () => earliest(document && stateDueAt(document.state), effects.retryAt()),
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
