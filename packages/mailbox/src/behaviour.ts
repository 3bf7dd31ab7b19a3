// What a service tells the mailbox about its actors: pure decisions here, side effects in `Edges`.
import type { Delivery } from '@pipeline/broker';
import type { SideWrite, StoredEffect } from '@pipeline/store';

/** Something that happened to a user. `id` is the AMQP messageId, or derived for events born in this process. */
export interface ActorEvent {
  type: string;
  id: string;
}

/** A call (to a bridge, to send_msg) that the state says is open. */
export interface OpenCall {
  /** Names this attempt: outcomes of another one are ignored by the reducer. */
  id: string;
  /** Epoch ms. */
  startedAt: number;
}

/** What a service's actors are made of. Everything in this package that takes `T` is generic over this bundle. */
export interface ActorTypes {
  state: unknown;
  event: ActorEvent;
  /** A publish that stands in the document until it is confirmed. */
  effect: StoredEffect;
  call: OpenCall;
  /** A fact that the reducer may ask for. */
  lookup: unknown;
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
export interface Decision<T extends ActorTypes> {
  state: T['state'];
  /** Publishes that follow the save, in order, at least once (their ids are derived). */
  effects: T['effect'][];
  /** Documents beside the actor's own, written before it. */
  sideWrites: SideWrite[];
  /** A fact to be read before the save; it comes back as an event for the reducer. */
  lookup?: T['lookup'];
  /** What metrics should count once this is saved, by name. */
  counts?: string[];
}

/** The pure half of a service's actors. */
export interface Behaviour<T extends ActorTypes> {
  initialState(): T['state'];
  reduce(state: T['state'], event: T['event'], context: ReduceContext): Decision<T>;
  /** The earliest due time in the state, epoch ms, not counting an open call's own. */
  dueAt(state: T['state']): number | null;
  /** The call that this state has open, if any. Started after the save, never awaited. */
  callOf(state: T['state']): T['call'] | null;
  /**
   * For events that must be applied once and aren't idempotent by state: their id, and when they came to be (any unit,
   * the same for a repeat): one newer than all of its type before can't be a repeat.
   */
  deduplication(event: T['event']): { id: string; time: number } | null;
  /**
   * Events that nobody waits for, as long as nothing follows from them: their save is deferred ('soon'). If the process
   * dies before, they are delivered again, or the call whose outcome they are is made again and ends the same.
   */
  isPatient(event: T['event']): boolean;
  wake(): T['event'];
  /**
   * "The open call is in nobody's memory": its process died, or the partition moved. The reducer opens it anew under
   * another call id, with the same ids towards the outside.
   */
  callLost(callId: string): T['event'];
}

/** The impure half: everything that touches the world. */
export interface Edges<T extends ActorTypes> {
  /** @throws InvalidMessageError */
  decode(delivery: Delivery): T['event'];
  /** Reads a fact. @throws RetryableError `store-away` */
  lookUp(userKey: string, lookup: T['lookup']): Promise<T['event']>;
  /** One confirmed publish. @throws RetryableError when refused: it is tried again, in order */
  runEffect(userKey: string, effect: T['effect']): Promise<void>;
  /** Makes the call and returns its outcome; a failure is an outcome too. */
  call(userKey: string, call: T['call']): Promise<T['event']>;
  /** Publishes an outcome into the user's mailbox: its partition has moved while the call was open. */
  forwardOutcome(userKey: string, outcome: T['event']): Promise<void>;
  /** Counts what reducers decided, once it is saved. */
  counted?(names: readonly string[]): void;
  /** An event has been parked in the dead letters: whoever waits for it must hear of it. */
  parked(userKey: string, event: T['event']): Promise<void>;
}
