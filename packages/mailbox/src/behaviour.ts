// What a service tells the mailbox about its actors: pure decisions here, side effects in `Edges`.
import type { Delivery } from '@pipeline/broker';
import type { SideWrite, StoredEffect } from '@pipeline/store';

/** Something that happened to a user. `id` is the AMQP messageId, or derived for events born in this process. */
export interface ActorEvent {
  type: string;
  id: string;
}

/** Facts that a reducer gets as values. */
export interface ReduceContext {
  userKey: string;
  /** Epoch ms, the database's clock. */
  now: number;
  /** The broker refuses this user's effects: what would add to them waits. A wake follows once they are out. */
  isHeldUp: boolean;
}

/** What a reducer decides. A state that is the same object means: nothing changed. */
export interface Decision<S, Fx extends StoredEffect, Lookup> {
  state: S;
  /** Publishes that follow the save, in order, at least once (their ids are derived). */
  effects: Fx[];
  /** Documents beside the actor's own, written before it. */
  sides: SideWrite[];
  /** A fact to be read before the save; it comes back as an event for the reducer. */
  lookup?: Lookup;
  /** What metrics should count once this is saved, by name. */
  counts?: string[];
}

/** A call (to a bridge, to send_msg) that the state says is open. */
export interface OpenCall {
  /** Names this attempt: outcomes of another one are ignored by the reducer. */
  id: string;
  /** Epoch ms. */
  startedAt: number;
}

/** The pure half of a service's actors. */
export interface Behaviour<S, Ev extends ActorEvent, Fx extends StoredEffect, Call extends OpenCall, Lookup> {
  initialState(): S;
  reduce(state: S, event: Ev, context: ReduceContext): Decision<S, Fx, Lookup>;
  /** The earliest due time in the state, epoch ms, not counting an open call's own. */
  dueAt(state: S): number | null;
  /** The call that this state has open, if any. Started after the save, never awaited. */
  callOf(state: S): Call | null;
  /**
   * For events that must be applied once and aren't idempotent by state: their id, and when they came to be (any unit,
   * the same for a repeat): one newer than all of its type before can't be a repeat.
   */
  deduplication(event: Ev): { id: string; time: number } | null;
  /**
   * Events that may wait a moment for a save to ride in, as long as nothing follows from them: if the process dies before,
   * they are delivered again, or the call whose outcome they are is made again and ends the same.
   */
  canRest(event: Ev): boolean;
  wake(): Ev;
  /**
   * "The open call is in nobody's memory": its process died, or the partition moved. The reducer opens it anew under
   * another call id, with the same ids towards the outside.
   */
  callLost(callId: string): Ev;
}

/** The impure half: everything that touches the world. */
export interface Edges<Ev extends ActorEvent, Fx extends StoredEffect, Call extends OpenCall, Lookup> {
  /** @throws InvalidMessageError */
  decode(delivery: Delivery): Ev;
  /** Reads a fact. @throws RetryableError `store-away` */
  lookUp(userKey: string, lookup: Lookup): Promise<Ev>;
  /** One confirmed publish. @throws RetryableError when refused: it is tried again, in order */
  runEffect(userKey: string, effect: Fx): Promise<void>;
  /** Makes the call and returns its outcome; a failure is an outcome too. */
  call(userKey: string, call: Call): Promise<Ev>;
  /** Publishes an outcome into the user's mailbox: its partition has moved while the call was open. */
  forwardOutcome(userKey: string, outcome: Ev): Promise<void>;
  /** Counts what reducers decided, once it is saved. */
  counted?(names: readonly string[]): void;
  /** An event has been parked in the dead letters: whoever waits for it must hear of it. */
  parked(userKey: string, event: Ev): Promise<void>;
}
