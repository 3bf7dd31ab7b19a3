// One user's actor: events in, one after another; reduced, saved, their effects run, acked.
//
// An actor is
//   idle      nothing to do; its alarm is set for the next due time
//   working   one round after another: take → reduce → save → acknowledge
//   dropped   for good: its partition has gone, or the database, or it was idle and memory is needed
//
// An event is in exactly one of these lists, and moves on to the right:
//   inbox     it has come
//   inHand    it is in this round: reduced, and being saved
//   unsaved   it is in the document in memory; the save is deferred (commit 'soon')
//   unacked   it is stored; its effects are being published and then leave the document
//   (acked)   the broker forgets it
// Back to the inbox it goes if somebody else saved in between (the document is stale: load, reduce again), or if the
// save failed. When the actor is dropped, whatever wasn't acked is delivered again, here or elsewhere.
//
// Never: two rounds at once · an effect or a call before the state that says so is stored · an ack before the event is
// stored and its effects are out (or stand in the document with their due time, because the broker refuses them).
import { errorFields } from '@pipeline/runtime';
import { type ActorDocument, isStoreAway } from '@pipeline/store';
import type { ActorTypes } from '../behaviour.ts';
import { DocumentCache } from '../commit/document-cache.ts';
import type { Urgency } from '../commit/group-commit.ts';
import type { ActorDeps } from './actor-deps.ts';
import { AppliedEvents, type Commit } from './applied-events.ts';
import { DueTimes } from './due-times.ts';
import { EffectRunner } from './effect-runner.ts';
import { bornHere, type Input } from './input.ts';
import { isChanged, isPatient, type ReducedBatch, reduceBatch } from './reduce-batch.ts';

/** How often to look whether the replica that makes a call is still alive. */
const CALLER_LOOK_MS = 500;

export class Actor<T extends ActorTypes> {
  readonly #userKey: string;
  readonly #deps: ActorDeps<T>;
  readonly #document: DocumentCache<T>;
  readonly #effects: EffectRunner<T>;
  readonly #dueTimes: DueTimes<T>;
  /** The lists `unsaved` and `unacked`. */
  readonly #applied: AppliedEvents<T>;
  #isWorking = false;
  #isDropped = false;
  #inbox: Input<T>[] = [];
  #inHand: Input<T>[] = [];
  /** 1 after a round failed: finds the event that makes it fail. */
  #batchLimit = Number.POSITIVE_INFINITY;
  /** The stored `wakeAt` is to be put off, although nothing else has changed. */
  #mustSaveWakeAt = false;

  constructor(userKey: string, deps: ActorDeps<T>) {
    this.#userKey = userKey;
    this.#deps = deps;
    this.#document = new DocumentCache(userKey, deps);
    this.#applied = new AppliedEvents((names) => deps.edges.counted?.(names));
    const document = () => (this.#isDropped ? null : this.#document.current());
    const wake = () => this.push(bornHere(deps.behaviour.wake()));
    this.#effects = new EffectRunner({
      document,
      runEffect: (effect) => deps.edges.runEffect(userKey, effect),
      now: deps.now,
      onRefused: (effect, error) => deps.onEffectRefused(userKey, effect, error),
      onProgress: () => this.#work(),
      onRecovered: wake,
      faultPoint: deps.faultPoint,
    });
    const retry = () => void this.#effects.run();
    this.#dueTimes = new DueTimes({ ...deps, document, retryAt: () => this.#effects.retryAt(), retry, wake });
  }

  push(input: Input<T>): void {
    if (this.#isDropped) {
      input.dropped?.();
      return;
    }
    this.#inbox.push(input);
    this.#work().catch((error) => {
      this.#deps.logger.error({ userKey: this.#userKey, ...errorFields(error) }, 'actor.failed');
    });
  }

  /** No event, effect or unacked delivery is left. */
  isIdle(): boolean {
    const isEmpty = this.#inbox.length === 0 && this.#inHand.length === 0 && this.#applied.isEmpty();
    return isEmpty && !this.#isWorking && !this.#effects.isRunning() && this.#effects.done() === 0;
  }

  /** The next own due time, epoch ms. */
  dueAt(): number | null {
    return this.#dueTimes.next();
  }

  hasOpenCall(): boolean {
    const call = this.#openCall();
    return call !== null && this.#deps.calls.has(this.#userKey, call);
  }

  /** Wakes are put off, by whoever found that they kill. */
  putOffWakes(): void {
    this.#dueTimes.putOff();
    this.#mustSaveWakeAt = true;
    void this.#work();
  }

  /** Forgets everything; what was not acked will be delivered again. */
  drop(): void {
    this.#isDropped = true;
    this.#dueTimes.stop();
    for (const input of [...this.#applied.takeUnsaved(), ...this.#inHand, ...this.#inbox]) input.dropped?.();
  }

  async #work(): Promise<void> {
    if (this.#isWorking || this.#isDropped) return;
    this.#isWorking = true;
    try {
      while (!this.#isDropped && (this.#inbox.length > 0 || this.#mustSave())) await this.#round();
    } catch (error) {
      if (!this.#isDropped) this.#deps.storeAway(error);
    }
    this.#isWorking = false;
    if (!this.#isDropped) this.#dueTimes.setAlarm();
  }

  /** Also without an event in the inbox. */
  #mustSave(): boolean {
    const isStale = this.#document.current() === null && this.#applied.hasUnsaved();
    return isStale || this.#mustSaveWakeAt || this.#effects.isRefusalUnsaved() || this.#effects.done() > 0;
  }

  async #round(): Promise<void> {
    try {
      const isFresh = this.#document.current() === null || this.#inbox.some((input) => input.needsFreshDocument);
      const base = await this.#take(isFresh);
      if (this.#isDropped) return;
      const batch = await this.#reduce(base);
      if (this.#isDropped) return;
      const urgency = this.#urgencyOf(base, batch);
      if (urgency === null) await this.#stored(this.#commitOf(batch, 0));
      else if (!(await this.#save(base, batch, urgency))) return;
      if (!this.#isDropped) await this.#acknowledge(batch, isFresh || urgency === 'now');
      // What is saved names this process as the one that makes the call, wherever the partition is by now.
      if (!this.#isDropped || urgency === 'now') await this.#lookAfterCall(base);
      if (batch.failure && !this.#isDropped) await this.#handleFailure(batch.failure);
    } catch (error) {
      if (this.#isDropped || isStoreAway(error)) throw error;
      await this.#blame(error);
    }
  }

  /** Takes what has come, and reads the document if it isn't in memory. */
  async #take(isFresh: boolean): Promise<ActorDocument<T['state']>> {
    const known = isFresh ? null : this.#document.current();
    if (known === null) this.#inbox.unshift(...this.#applied.takeUnsaved());
    this.#inHand = this.#inbox.splice(0, this.#batchLimit);
    if (known) return known;
    const document = await this.#document.load();
    this.#dueTimes.loaded(document);
    this.#effects.loaded(document.effects.length);
    this.#applied.loaded(document.effects.length);
    return document;
  }

  async #reduce(base: ActorDocument<T['state']>): Promise<ReducedBatch<T>> {
    const context = { userKey: this.#userKey, isHeldUp: () => this.#effects.isFailing() };
    const isPutOff = ({ event }: Input<T>) => this.#isWake(event) && this.#dueTimes.isPutOff();
    const judged = this.#inHand.filter((input) => !isPutOff(input));
    const batch = await reduceBatch(this.#deps, context, base, judged);
    batch.unchanged.push(...this.#inHand.filter(isPutOff));
    return batch;
  }

  /** @returns null if there is nothing to save */
  #urgencyOf(base: ActorDocument<T['state']>, batch: ReducedBatch<T>): Urgency | null {
    // A save proves that what changed nothing, or had been applied before, was judged on the stored document.
    if (!isChanged(base, batch) && !this.#mustSave()) return this.#applied.hasUnsaved() ? 'now' : null;
    const isRetry = this.#batchLimit === 1 || this.#mustSaveWakeAt || this.#effects.isRefusalUnsaved();
    if (isRetry || this.#applied.hasTrial()) return 'now';
    return isPatient(base, batch, this.#inHand, this.#deps.behaviour) ? 'soon' : 'now';
  }

  /** @returns false if the round has to be done again */
  async #save(base: ActorDocument<T['state']>, batch: ReducedBatch<T>, urgency: Urgency): Promise<boolean> {
    const { draft } = batch;
    const removing = this.#effects.done();
    const effects = [...base.effects.slice(removing), ...draft.effects];
    const retryAt = this.#effects.retryAt();
    const wakeAt = this.#dueTimes.wakeAtOf(draft.state, effects.length);
    const commit = this.#commitOf(batch, removing);
    const storing = this.#document.commit(base, draft, { effects, wakeAt }, urgency);
    if (urgency === 'soon') {
      this.#effects.committed(removing, 0, retryAt);
      this.#applied.defer(commit);
      void this.#awaitDeferred(storing, commit);
      return true;
    }
    const outcome = await storing;
    if (outcome === 'saved') {
      this.#mustSaveWakeAt = false;
      this.#effects.committed(removing, draft.effects.length, retryAt);
      await this.#stored(commit);
      return true;
    }
    if (typeof outcome === 'object') throw outcome.error;
    // Stale: all is reduced again on the newer document.
    this.#inbox.unshift(...this.#inHand.splice(0));
    return false;
  }

  async #awaitDeferred(storing: ReturnType<DocumentCache<T>['commit']>, commit: Commit<T>): Promise<void> {
    try {
      const outcome = await storing;
      if (this.#isDropped) return;
      if (outcome === 'saved') return this.#applied.isUnsaved(commit) ? await this.#stored(commit) : undefined;
      if (typeof outcome === 'object') this.#batchLimit = 1;
      await this.#work();
    } catch (error) {
      if (!this.#isDropped) this.#deps.storeAway(error);
    }
  }

  #commitOf({ applied, draft }: ReducedBatch<T>, removing: number): Commit<T> {
    const before = this.#effects.appended();
    return {
      applied: applied.map(({ input, effects }) => ({ input, ackAt: before + effects })),
      counts: draft.counts,
      removed: this.#effects.removed() + removing,
    };
  }

  async #stored(commit: Commit<T>): Promise<void> {
    await this.#deps.faultPoint?.('saved');
    if (this.#applied.removes(commit)) await this.#deps.faultPoint?.('removed');
    if (this.#isDropped) return;
    this.#applied.stored(commit);
    this.#applied.ackWhatIsThrough(this.#effects.isRefusalSaved());
  }

  /** @param isCertain the document is known to be the stored one: what changed nothing will never do so */
  async #acknowledge({ unchanged, failure, postponed }: ReducedBatch<T>, isCertain: boolean): Promise<void> {
    this.#batchLimit = Number.POSITIVE_INFINITY;
    this.#inHand = failure ? [failure.input, ...failure.behind] : [];
    this.#inbox.unshift(...postponed);
    this.#ackUnchanged(unchanged, isCertain);
    await this.#deps.faultPoint?.('acked');
    void this.#effects.run();
  }

  #ackUnchanged(inputs: Input<T>[], isCertain: boolean): void {
    // Our own call or publish is under way and nothing else is due: the sweep's wake tells us nothing.
    const isAtWork = this.#effects.isRunning() || this.hasOpenCall();
    const doubtful: Input<T>[] = [];
    for (const input of inputs) {
      const isWake = this.#isWake(input.event);
      if (isCertain || (isAtWork && isWake)) {
        if (isWake) this.#dueTimes.changedNothing();
        input.stored?.();
        input.ack('done');
      } else doubtful.push({ ...input, needsFreshDocument: true });
    }
    this.#inbox.unshift(...doubtful);
  }

  /** The round failed: one event after another, until the culprit stands alone. */
  async #blame(error: unknown): Promise<void> {
    const [culprit] = this.#inHand;
    // Without an event to blame there is nothing to park: begin anew, later.
    if (!culprit) throw error;
    if (this.#inHand.length === 1) return this.#handleFailure({ input: culprit, error, behind: [] });
    this.#batchLimit = 1;
    this.#inbox.unshift(...this.#inHand.splice(0));
  }

  /** What comes behind a failing event waits: it is the same user's. */
  async #handleFailure({ input, error, behind }: NonNullable<ReducedBatch<T>['failure']>): Promise<void> {
    this.#inHand = [input, ...behind];
    const verdict = await this.#deps.failed(this.#userKey, input, error);
    if (this.#isDropped) return;
    if (verdict !== 'retry') {
      input.stored?.();
      input.ack(verdict);
    }
    this.#inbox.unshift(...(verdict === 'retry' ? [input] : []), ...behind);
    this.#inHand = [];
    if (verdict === 'put-off') this.putOffWakes();
  }

  /** Sees to it that somebody makes the call that is open. @param base the document before this round */
  async #lookAfterCall(base: ActorDocument<T['state']>): Promise<void> {
    const call = this.#openCall();
    if (!call) return;
    const { calls, behaviour } = this.#deps;
    const isNew = call.id !== behaviour.callOf(base.state)?.id;
    const is = await calls.lookAfter(this.#userKey, call, isNew, this.#document);
    if (is === 'elsewhere') this.#dueTimes.lookAgainIn(CALLER_LOOK_MS);
    else if (is === 'lost') this.#inbox.unshift(bornHere(behaviour.callLost(call.id)));
    else if (is === 'stale') this.#inbox.unshift(bornHere(behaviour.wake()));
  }

  #openCall(): T['call'] | null {
    const document = this.#document.current();
    return document && this.#deps.behaviour.callOf(document.state);
  }

  #isWake({ type }: T['event']): boolean {
    return type === this.#deps.behaviour.wake().type;
  }
}
