// What an actor is to the mailbox, and what it needs from it.
import type { Logger } from '@pipeline/runtime';
import type { ActorCollection, StoredEffect } from '@pipeline/store';
import type { ActorEvent, Behaviour, Edges, OpenCall } from './behaviour.ts';
import type { GroupCommit } from './group-commit.ts';

/** An event waiting for its actor. */
export interface Input<Ev> {
  event: Ev;
  /** The event is applied and saved, found to change nothing, or given up. */
  saved?(): void;
  /** The event and its effects are done for good: ack the delivery. */
  settle(): void;
  /** The actor was dropped before the event was saved. */
  dropped?(): void;
  /** Judged on a document that may be stale and found to change nothing: judge again on one read afresh. */
  needsFreshDocument?: boolean;
  /** Deliveries of other users wait until it is settled: nothing rests. */
  isAlone?: boolean;
}

/** `retry`: at once; `parked`: it stands in the dead letters; `put-off`: it is a wake, tried again much later. */
export type Verdict = 'retry' | 'parked' | 'put-off';

/** A wake on which we fail is never given up, only put off. */
export const THROWING_WAKE_PAUSE_MS = 600_000;

/** For tests that stop or kill the process between two steps; named after the step just done. */
export type FaultPoint = (step: 'sides-saved' | 'saved' | 'effect-run' | 'removed' | 'acked') => Promise<void> | void;

export interface ActorDeps<S, Ev extends ActorEvent, Fx extends StoredEffect, Call extends OpenCall, Lookup> {
  service: string;
  behaviour: Behaviour<S, Ev, Fx, Call, Lookup>;
  edges: Edges<Ev, Fx, Call, Lookup>;
  collection: ActorCollection<S>;
  isProcessed(service: string, userKey: string, id: string): Promise<boolean>;
  groupCommit: GroupCommit<S>;
  now(): number;
  logger: Logger;
  /** This process, by the name that it has among the replicas. */
  replica: string;
  /** Calls under way in this process, by user and id; they outlive the actors that started them. */
  openCalls: Set<string>;
  /** Whether a replica is alive, which then still makes the calls that it began before its partition moved. */
  isAlive(replica: string): boolean;
  /** For so long an open call is left to it, its outcome's way through the broker included. */
  leaveToCallerMs: number;
  /** Everybody waits for what is in hand: nothing rests for long. */
  isHurried(): boolean;
  /** An input threw: decide what becomes of it. */
  failed(userKey: string, input: Input<Ev>, error: unknown): Promise<Verdict>;
  /** The database is away: everything in memory is void. */
  storeAway(error: unknown): void;
  /** The outcome of a call that this actor started. */
  outcome(userKey: string, callKey: string, event: Ev): void;
  onEffectRefused(effect: Fx, error: unknown): void;
  faultPoint?: FaultPoint | undefined;
}

export interface Actor<Ev> {
  push(input: Input<Ev>): void;
  /** No event, effect or unacked delivery is left. */
  isIdle(): boolean;
  /** The next own due time, epoch ms. */
  dueAt(): number | null;
  hasOpenCall(): boolean;
  /** What rests now is saved at once. */
  hurry(): void;
  /** Its partition is about to go: nothing rests any longer, no time falls due. */
  leave(): void;
  /** Forgets everything; what was not settled will be delivered again. */
  drop(): void;
}
