// One user's actor: events in, one after another; load, reduce, save, effects, ack.
import { describeError } from '@pipeline/runtime';
import { type ActorDocument, isStoreAway, type SaveOutcome, type StoredEffect } from '@pipeline/store';
import type { Actor, ActorDeps, Input } from './actor-types.ts';
import { createAlarm, earliest } from './alarm.ts';
import type { ActorEvent, OpenCall } from './behaviour.ts';
import { createEffectRunner } from './effect-runner.ts';
import { keepDocument } from './kept-document.ts';
import { canRest, createBatchReducer, type Draft } from './reduce-batch.ts';
import { createRest } from './rest.ts';
import { createWakePauses } from './wake-pauses.ts';

/**
 * How far ahead `wakeAt` stands while a call is open or effects wait in the document: if it is overdue, whoever owns the
 * partition by then makes the call again or runs the effects. No delivery may be left to remind of them.
 */
const GUARD_MS = 2_000;
/** How often to look whether the replica that makes a call is still alive. */
const CALLER_LOOK_MS = 500;

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
  const kept = keepDocument(userKey, deps);
  /** So many at the head of the inbox are reduced but wait for a save to ride in. */
  let resting = 0;
  let isRunning = false;
  let isDropped = false;
  /** Its partition is about to go. */
  let isLeaving = false;
  const wakes = createWakePauses<S>(deps.now, behaviour.dueAt);
  /** The stored `wakeAt` is to be put off, although nothing else has changed. */
  let mustSaveWakeAt = false;
  /** When to look again after a call that another replica makes. */
  let lookAgainAt: number | null = null;
  const wakeType = behaviour.wake().type;

  /** Set to 1 after a save failed by itself, to find the event that makes it fail. */
  let batchLimit = Number.POSITIVE_INFINITY;

  const reduceBatch = createBatchReducer(userKey, deps, () => effects.isFailing());
  const effects = createEffectRunner<S, Fx>({
    document: () => (isDropped ? null : kept.current()),
    runEffect: (effect) => edges.runEffect(userKey, effect),
    now: deps.now,
    onRefused: deps.onEffectRefused,
    onProgress: () => run(),
    onRecovered: () => push({ event: behaviour.wake(), settle: () => {} }),
    faultPoint: deps.faultPoint,
  });

  const rest = createRest(
    () => resting > 0 || effects.done() > 0,
    () => void run(),
  );

  const run = async () => {
    if (isRunning || isDropped) return;
    isRunning = true;
    try {
      while (!isDropped && (inbox.length > (rest.isOver() ? 0 : resting) || mustSaveAnyway())) {
        try {
          await step();
        } catch (error) {
          const [culprit, ...behind] = inHand;
          if (isDropped || isStoreAway(error) || !culprit) throw error;
          await handleFailure(culprit, error, behind);
        }
      }
    } catch (error) {
      if (!isDropped) deps.storeAway(error);
    } finally {
      isRunning = false;
      if (!isDropped) {
        armTimer();
        rest.begin(isLeaving || deps.isHurried() || unacked.some(({ input }) => input.isAlone));
      }
    }
  };

  const mustSaveAnyway = () => effects.isRefusalUnsaved() || mustSaveWakeAt || (rest.isOver() && effects.done() > 0);

  const step = async () => {
    inHand = inbox.splice(0, batchLimit);
    resting = 0;
    const known = kept.current();
    const isFresh = known === null || inHand.some((input) => input.needsFreshDocument);
    const base = isFresh ? await loadDocument() : known;
    if (isDropped) return;
    const judged = inHand.filter((input) => !isPausedWake(input));
    const batch = await reduceBatch(base, judged);
    if (isDropped) return;
    const { draft, failure, postponed } = batch;
    if (!rest.isOver() && !mustSaveAnyway() && batchLimit > 1 && canRest(behaviour, base.state, batch, inHand)) {
      resting = inHand.length;
      inbox = [...inHand, ...inbox];
      inHand = [];
      return;
    }
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
    if (isDropped) {
      // What is saved names this process as the one that makes the call, wherever the partition is by now.
      if (mustSave && outcome === 'saved') await ensureCall(behaviour.callOf(base.state)?.id ?? null);
      return;
    }
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

  const loadDocument = async (): Promise<ActorDocument<S>> => {
    const document = await kept.load();
    wakes.loaded(document);
    effects.loaded(document.effects.length);
    // Effects of earlier inputs are in this document or were removed by whoever saved it.
    unacked = unacked.map(({ input }) => ({ input, ackAt: effects.appended() }));
    return document;
  };

  const save = async (
    base: ActorDocument<S>,
    draft: Draft<S, Fx>,
    removing: number,
  ): Promise<SaveOutcome | { error: unknown }> => {
    const nextEffects = [...base.effects.slice(removing), ...draft.effects];
    const retryAt = effects.retryAt();
    const effectsAt = nextEffects.length > 0 ? (retryAt ?? deps.now() + GUARD_MS) : null;
    const outcome = await kept.save(base, draft, nextEffects, () => wakeAtOf(draft.state, effectsAt));
    if (isDropped || outcome !== 'saved') return outcome;
    mustSaveWakeAt = false;
    rest.end();
    effects.saved(removing, draft.effects.length, retryAt);
    return outcome;
  };

  const settleUnchanged = (inputs: Input<Ev>[], isJudgedFresh: boolean) => {
    // Our own call or publish is under way and nothing else is due: the sweep's wake tells us nothing.
    const isAtWork = effects.isRunning() || hasOpenCall();
    const doubtful: Input<Ev>[] = [];
    for (const input of inputs) {
      if (isJudgedFresh || (isAtWork && input.event.type === wakeType)) {
        if (input.event.type === wakeType) wakes.rest();
        input.saved?.();
        input.settle();
      } else doubtful.push({ ...input, needsFreshDocument: true });
    }
    inbox.unshift(...doubtful);
  };

  /** @param effectsAt when somebody must look after the effects */
  const wakeAtOf = (state: S, effectsAt: number | null): number | null => {
    const call = behaviour.callOf(state);
    return earliest(wakes.dueAt(state), call && call.startedAt + GUARD_MS, effectsAt);
  };

  const isPausedWake = ({ event }: Input<Ev>) => event.type === wakeType && wakes.isPaused();

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
    wakes.pause();
    mustSaveWakeAt = true;
  };

  const callKey = ({ id }: Call) => `${userKey} ${id}`;

  const openCall = () => {
    const document = kept.current();
    return document && behaviour.callOf(document.state);
  };

  /** Its partition has moved in the meantime: the outcome will come through the mailbox. */
  const isMadeElsewhere = (call: Call) => {
    const caller = kept.current()?.caller;
    if (caller === undefined || caller === deps.replica) return false;
    return deps.isAlive(caller) && deps.now() < call.startedAt + deps.leaveToCallerMs;
  };

  const hasOpenCall = () => {
    const call = openCall();
    return call !== null && deps.openCalls.has(callKey(call));
  };

  /** @param known the call that was open in the document before this step */
  const ensureCall = async (known: string | null) => {
    const call = openCall();
    if (!call || deps.openCalls.has(callKey(call))) return;
    if (call.id === known) {
      if (isDropped) return;
      if (isMadeElsewhere(call)) lookAgainAt = deps.now() + CALLER_LOOK_MS;
      else inbox.unshift({ event: behaviour.callLost(call.id), settle: () => {} });
      return;
    }
    if (!(await kept.isCurrent())) {
      if (isDropped) return;
      kept.forget();
      inbox.unshift({ event: behaviour.wake(), settle: () => {} });
      return;
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

  const dueAt = (read: (state: S) => number | null) => {
    const document = kept.current();
    return document && read(document.state);
  };

  const armTimer = () => {
    if (!isLeaving) alarm.set(earliest(dueAt(wakes.ownDueAt), effects.retryAt(), lookAgainAt));
  };

  const alarm = createAlarm(deps.now, () => {
    const now = deps.now();
    if ((effects.retryAt() ?? now + 1) <= now) void effects.run();
    const due = earliest(dueAt(wakes.ownDueAt), lookAgainAt);
    if ((lookAgainAt ?? now + 1) <= now) lookAgainAt = null;
    if (due !== null && due <= now) push({ event: behaviour.wake(), settle: () => {} });
    else armTimer();
  });

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
    dueAt: () => earliest(dueAt(wakes.dueAt), effects.retryAt(), lookAgainAt),
    hasOpenCall,
    hurry: () => rest.begin(true),
    leave() {
      isLeaving = true;
      alarm.stop();
      rest.begin(true);
    },
    drop() {
      isDropped = true;
      alarm.stop();
      rest.end();
      for (const input of [...inHand, ...inbox]) input.dropped?.();
    },
  };
}
