// Events that are stored, until what followed from them is out: then their deliveries are acked, in order.
import type { ActorTypes } from '../behaviour.ts';
import type { Input } from './input.ts';

/** Effects are counted since the document was loaded. */
export interface Applied<T extends ActorTypes> {
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

export class Unacked<T extends ActorTypes> {
  #events: Applied<T>[] = [];
  #removed = 0;

  isEmpty(): boolean {
    return this.#events.length === 0;
  }

  hasTrial(): boolean {
    return this.#events.some(({ input }) => input.isOnTrial);
  }

  /** The document was read anew: effects of earlier events are in it, or were removed by whoever saved it. */
  loaded(effects: number): void {
    this.#removed = 0;
    this.#events = this.#events.map(({ input }) => ({ input, ackAt: effects }));
  }

  stored({ applied, removed }: Commit<T>): void {
    for (const { input } of applied) input.stored?.();
    this.#events.push(...applied);
    this.#removed = removed;
  }

  /** @param isRefusalSaved a refused effect stands in the document with its due time: no delivery waits on another queue */
  ackWhatIsThrough(isRefusalSaved: boolean): void {
    const isThrough = ({ ackAt }: Applied<T>) => isRefusalSaved || ackAt <= this.#removed;
    while (this.#events[0] && isThrough(this.#events[0])) this.#events.shift()?.input.ack('done');
  }
}
