// Events that are in the document: `unsaved` until that is stored, then `unacked` until what followed from them is out.
import type { ActorTypes } from '../behaviour.ts';
import type { Input } from './input.ts';

/** Effects are counted since the document was loaded. */
interface Applied<T extends ActorTypes> {
  input: Input<T>;
  /** Acked once this many effects have left the stored document. */
  ackAt: number;
}

/** What one save brings about once it is stored. */
export interface Commit<T extends ActorTypes> {
  applied: Applied<T>[];
  /** For metrics. */
  counts: string[];
  /** Effects that have then left the document. */
  removed: number;
}

export class AppliedEvents<T extends ActorTypes> {
  readonly #counted: (names: readonly string[]) => void;
  #unsaved: Commit<T>[] = [];
  #unacked: Applied<T>[] = [];
  /** Effects that have left the stored document. */
  #removed = 0;

  constructor(counted: (names: readonly string[]) => void) {
    this.#counted = counted;
  }

  isEmpty(): boolean {
    return this.#unsaved.length === 0 && this.#unacked.length === 0;
  }

  /** Its save is deferred. */
  defer(commit: Commit<T>): void {
    this.#unsaved.push(commit);
  }

  hasUnsaved(): boolean {
    return this.#unsaved.length > 0;
  }

  isUnsaved(commit: Commit<T>): boolean {
    return this.#unsaved.includes(commit);
  }

  /** Those whose save came to nothing: they have to be reduced again. */
  takeUnsaved(): Input<T>[] {
    return this.#unsaved.splice(0).flatMap(({ applied }) => applied.map(({ input }) => input));
  }

  removes({ removed }: Commit<T>): boolean {
    return removed > this.#removed;
  }

  /** It is stored, and all that was deferred before it. */
  stored(commit: Commit<T>): void {
    const last = this.#unsaved.indexOf(commit);
    const before = this.#unsaved.splice(0, last < 0 ? this.#unsaved.length : last + 1);
    for (const { applied, counts, removed } of last < 0 ? [...before, commit] : before) {
      if (counts.length > 0) this.#counted(counts);
      for (const { input } of applied) input.stored?.();
      this.#unacked.push(...applied);
      this.#removed = removed;
    }
  }

  /** The document was read anew: effects of earlier events are in it, or were removed by whoever saved it. */
  loaded(effects: number): void {
    this.#removed = 0;
    this.#unacked = this.#unacked.map(({ input }) => ({ input, ackAt: effects }));
  }

  hasTrial(): boolean {
    return this.#unacked.some(({ input }) => input.isOnTrial);
  }

  /** @param isRefusalSaved a refused effect stands in the document with its due time: no delivery waits on another queue */
  ackWhatIsThrough(isRefusalSaved: boolean): void {
    const isThrough = ({ ackAt }: Applied<T>) => isRefusalSaved || ackAt <= this.#removed;
    while (this.#unacked[0] && isThrough(this.#unacked[0])) this.#unacked.shift()?.input.ack('done');
  }
}
