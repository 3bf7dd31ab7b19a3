// What an actor needs of the mailbox around it.
import type { Logger } from '@pipeline/runtime';
import type { ActorTypes } from '../behaviour.ts';
import type { DocumentCacheDeps } from '../commit/document-cache.ts';
import type { FaultPoint } from '../fault-point.ts';
import type { Input, Verdict } from './input.ts';
import type { OpenCalls } from './open-calls.ts';
import type { ReduceDeps } from './reduce-batch.ts';

export interface ActorDeps<T extends ActorTypes> extends ReduceDeps<T>, DocumentCacheDeps<T> {
  calls: OpenCalls<T>;
  logger: Logger;
  /** An input threw: decide what becomes of it. */
  failed(userKey: string, input: Input<T>, error: unknown): Promise<Verdict>;
  /** The database is away: everything in memory is void. */
  storeAway(error: unknown): void;
  onEffectRefused(userKey: string, effect: T['effect'], error: unknown): void;
  faultPoint?: FaultPoint | undefined;
}
