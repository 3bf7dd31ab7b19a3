// Runs the effects that stand in an actor's document: in order, each confirmed before the next, again after a crash.
//
//   resting    none is left to run
//   running    one is being published; those confirmed before it leave the document with the next save
//   refused    the broker turned one down: it and all behind it wait until `retryAt`, which is saved with them
import { backoffMs } from '@pipeline/runtime';
import type { ActorDocument } from '@pipeline/store';
import type { ActorTypes } from '../behaviour.ts';
import type { FaultPoint } from '../fault-point.ts';

const RETRY_FIRST_MS = 500;
const RETRY_MAX_MS = 30_000;

export interface EffectRunnerDeps<T extends ActorTypes> {
  /** The actor's document, null while there is none in memory or the actor is dropped. */
  document(): ActorDocument<T['state']> | null;
  runEffect(effect: T['effect']): Promise<void>;
  now(): number;
  onRefused(effect: T['effect'], error: unknown): void;
  /** A refusal is to be saved now, or what is confirmed can be removed with the next save. */
  onProgress(): Promise<void>;
  /** All are out, after one had been refused, here or before the document was loaded. */
  onRecovered(): void;
  faultPoint?: FaultPoint | undefined;
}

export class EffectRunner<T extends ActorTypes> {
  readonly #deps: EffectRunnerDeps<T>;
  #isRunning = false;
  /** Effects at the head of the document that are confirmed. */
  #done = 0;
  /** Effects that ever stood in the document since it was loaded, and how many of them have left it. */
  #appended = 0;
  #removed = 0;
  /** Counts loads: an effect begun before one says nothing about the document after it. */
  #epoch = 0;
  #retryAt: number | null = null;
  /** The `retryAt` that stands in the document. */
  #savedRetryAt: number | null = null;
  #failures = 0;
  /** Recovery is to be told. */
  #hasFailed = false;

  constructor(deps: EffectRunnerDeps<T>) {
    this.#deps = deps;
  }

  /** Runs what the document holds, unless that is under way or a refused effect still waits. */
  async run(): Promise<void> {
    if (this.#isRunning || (this.#retryAt !== null && this.#deps.now() < this.#retryAt)) return;
    this.#isRunning = true;
    this.#retryAt = null;
    try {
      await this.#runAll();
    } finally {
      this.#isRunning = false;
    }
    if (this.isRefusalUnsaved() || this.#done > 0) await this.#deps.onProgress();
    const document = this.#deps.document();
    if (!this.#hasFailed || this.#retryAt !== null || !document || this.#done < document.effects.length) return;
    this.#hasFailed = false;
    this.#deps.onRecovered();
  }

  async #runAll(): Promise<void> {
    const { document } = this.#deps;
    for (let held = document(); held && this.#done < held.effects.length; held = document()) {
      const effect = held.effects[this.#done] as T['effect'];
      const epoch = this.#epoch;
      try {
        await this.#deps.runEffect(effect);
        this.#failures = 0;
      } catch (error) {
        if (!document()) return;
        this.#deps.onRefused(effect, error);
        this.#hasFailed = true;
        this.#retryAt = this.#deps.now() + backoffMs(this.#failures++, RETRY_FIRST_MS, RETRY_MAX_MS);
        return;
      }
      if (epoch === this.#epoch) this.#done++;
      await this.#deps.faultPoint?.('effect-run');
    }
  }

  /** The document was read anew: nothing of it has run yet, as far as we know. */
  loaded(effects: number): void {
    this.#epoch++;
    this.#done = 0;
    this.#removed = 0;
    this.#appended = effects;
    this.#hasFailed = effects > 0;
    this.#retryAt = null;
    this.#savedRetryAt = null;
  }

  /** The document in memory has lost its first `removed` effects and has `appended` new ones at its end. */
  committed(removed: number, appended: number, retryAt: number | null): void {
    this.#done -= removed;
    this.#removed += removed;
    this.#appended += appended;
    this.#savedRetryAt = retryAt;
  }

  isRunning(): boolean {
    return this.#isRunning;
  }
  /** The last one was refused. */
  isFailing(): boolean {
    return this.#failures > 0;
  }
  /** Effects at the head of the document that are confirmed: the next save removes them. */
  done(): number {
    return this.#done;
  }
  /** Effects that ever stood in the document since it was loaded. */
  appended(): number {
    return this.#appended;
  }
  /** How many of them have left it. */
  removed(): number {
    return this.#removed;
  }
  /** When a refused effect is tried again, epoch ms. */
  retryAt(): number | null {
    return this.#retryAt;
  }
  /** A refusal is not yet in the document. */
  isRefusalUnsaved(): boolean {
    return this.#retryAt !== null && this.#retryAt !== this.#savedRetryAt;
  }
  /** A refused effect is in the document with its due time: no delivery needs to wait for it. */
  isRefusalSaved(): boolean {
    return this.#retryAt !== null && !this.isRefusalUnsaved();
  }
}
