// Runs the effects that stand in an actor's document: in order, each confirmed before the next, again after a crash.
import { backoffMs } from '@pipeline/runtime';
import type { ActorDocument, StoredEffect } from '@pipeline/store';
import type { FaultPoint } from './actor-types.ts';

const RETRY_FIRST_MS = 500;
const RETRY_MAX_MS = 30_000;

export interface EffectRunner {
  /** Runs what the document holds, unless that is under way or a refused effect still waits. */
  run(): Promise<void>;
  isRunning(): boolean;
  /** The last one was refused. */
  isFailing(): boolean;
  /** The document was read anew: nothing of it has run yet, as far as we know. */
  loaded(effects: number): void;
  /** The document was saved without the first `removed` effects, `appended` new ones at its end. */
  saved(removed: number, appended: number, retryAt: number | null): void;
  /** Effects at the head of the document that are confirmed: the next save removes them. */
  done(): number;
  /** Effects ever seen in the document since it was loaded, and how many of them are removed. */
  appended(): number;
  removed(): number;
  /** When a refused effect is tried again, epoch ms. */
  retryAt(): number | null;
  /** A refusal is not yet in the stored document. */
  isRefusalUnsaved(): boolean;
  /** A refused effect is in the stored document with its due time: no delivery needs to wait for it. */
  isRefusalSaved(): boolean;
}

export function createEffectRunner<S, Fx extends StoredEffect>(deps: {
  /** The actor's document, null while there is none in memory or the actor is dropped. */
  document(): ActorDocument<S> | null;
  runEffect(effect: Fx): Promise<void>;
  now(): number;
  onRefused(effect: Fx, error: unknown): void;
  /** A refusal is to be saved now, or what is confirmed can be removed with the next save. */
  onProgress(): Promise<void>;
  /** All are out, after one had been refused, here or before the document was loaded. */
  onRecovered(): void;
  faultPoint?: FaultPoint | undefined;
}): EffectRunner {
  let isRunning = false;
  let done = 0;
  let appended = 0;
  let removed = 0;
  /** Counts loads: an effect begun before one says nothing about the document after it. */
  let epoch = 0;
  let retryAt: number | null = null;
  /** The `retryAt` that stands in the stored document. */
  let savedRetryAt: number | null = null;
  let failures = 0;
  let mustTell = false;

  const isRefusalUnsaved = () => retryAt !== null && retryAt !== savedRetryAt;

  const runAll = async () => {
    for (let document = deps.document(); document && done < document.effects.length; document = deps.document()) {
      const effect = document.effects[done] as unknown as Fx;
      const startedEpoch = epoch;
      try {
        await deps.runEffect(effect);
        failures = 0;
      } catch (error) {
        if (!deps.document()) return;
        deps.onRefused(effect, error);
        mustTell = true;
        retryAt = deps.now() + backoffMs(failures++, RETRY_FIRST_MS, RETRY_MAX_MS);
        return;
      }
      if (epoch === startedEpoch) done++;
      await deps.faultPoint?.('effect-run');
    }
  };

  return {
    async run() {
      if (isRunning || (retryAt !== null && deps.now() < retryAt)) return;
      isRunning = true;
      retryAt = null;
      try {
        await runAll();
      } finally {
        isRunning = false;
      }
      if (isRefusalUnsaved() || done > 0) await deps.onProgress();
      const document = deps.document();
      if (!mustTell || retryAt !== null || !document || done < document.effects.length) return;
      mustTell = false;
      deps.onRecovered();
    },
    isRunning: () => isRunning,
    isFailing: () => failures > 0,
    loaded(effects) {
      epoch++;
      done = 0;
      removed = 0;
      appended = effects;
      mustTell = effects > 0;
      retryAt = null;
      savedRetryAt = null;
    },
    saved(removedNow, appendedNow, retryAtSaved) {
      done -= removedNow;
      removed += removedNow;
      appended += appendedNow;
      savedRetryAt = retryAtSaved;
    },
    done: () => done,
    appended: () => appended,
    removed: () => removed,
    retryAt: () => retryAt,
    isRefusalUnsaved,
    isRefusalSaved: () => retryAt !== null && !isRefusalUnsaved(),
  };
}
