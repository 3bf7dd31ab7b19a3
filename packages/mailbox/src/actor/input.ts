// An event on its way through its actor, with all that it carries along.
import type { Delivery } from '@pipeline/broker';
import type { ActorTypes } from '../behaviour.ts';

/** What became of an event: `parked` stands in the dead letters; `put-off` is a wake that is tried again much later. */
export type Outcome = 'done' | 'parked' | 'put-off';

/** What to do about an event on which we failed. `retry`: again, at once. */
export type Verdict = 'retry' | Exclude<Outcome, 'done'>;

export interface Input<T extends ActorTypes> {
  event: T['event'];
  /** As it came from the broker; null for an event born in this process. */
  delivery: Delivery | null;
  /** The event and its effects are done for good: ack the delivery. */
  ack(outcome: Outcome): void;
  /** The event is applied and stored, found to change nothing, or given up. */
  stored?(): void;
  /** The actor was dropped before the event was stored. */
  dropped?(): void;
  /** Judged on a document that may be stale and found to change nothing: judge again on one read afresh. */
  needsFreshDocument?: boolean;
  /** Other suspects wait for it (`poison/quarantine.ts`): none of its saves is deferred. */
  isOnTrial?: boolean;
}

/** An event that happens in this process and that nobody waits for. */
export const bornHere = <T extends ActorTypes>(event: T['event']): Input<T> => ({
  event,
  delivery: null,
  ack() {},
});
