// A user's waiting events, reduced one after another into what one save has to write.
import { RetryableError } from '@pipeline/runtime';
import type { ActorDocument, SideWrite } from '@pipeline/store';
import type { ActorTypes, Behaviour, Edges } from '../behaviour.ts';
import type { Input } from './input.ts';

/** Lookups in a row for one event; more is a bug in the reducer. */
const MAX_LOOKUPS = 100;

/** What events add up to before they are saved. */
export interface Draft<T extends ActorTypes> {
  state: T['state'];
  effects: T['effect'][];
  sideWrites: SideWrite[];
  counts: string[];
  recentIds: string[];
  newest: Record<string, number>;
}

export interface ReducedBatch<T extends ActorTypes> {
  draft: Draft<T>;
  /** Events that are in the draft, or were applied before; `effects` of the draft precede or belong to each. */
  applied: { input: Input<T>; effects: number }[];
  /** Events that would change nothing. */
  unchanged: Input<T>[];
  /** The event on which the reducer threw; those behind it are in no other list. */
  failure: { input: Input<T>; error: unknown; behind: Input<T>[] } | null;
  /** Events that must wait for the save: the first needs a fact that may be in an unsaved side document. */
  postponed: Input<T>[];
}

export interface ReduceDeps<T extends ActorTypes> {
  service: string;
  behaviour: Behaviour<T>;
  edges: Edges<T>;
  isProcessed(service: string, userKey: string, id: string): Promise<boolean>;
  now(): number;
}

export interface BatchContext {
  userKey: string;
  isHeldUp(): boolean;
}

/** @throws RetryableError when a fact can't be read */
export async function reduceBatch<T extends ActorTypes>(
  deps: ReduceDeps<T>,
  context: BatchContext,
  base: ActorDocument<T['state']>,
  inputs: readonly Input<T>[],
): Promise<ReducedBatch<T>> {
  const { state, recentIds, newest } = base;
  const draft: Draft<T> = { state, effects: [], sideWrites: [], counts: [], recentIds, newest };
  const batch: ReducedBatch<T> = { draft, applied: [], unchanged: [], failure: null, postponed: [] };
  for (const [index, input] of inputs.entries()) {
    try {
      const verdict = await addTo(draft, base, input.event, deps, context);
      if (verdict === 'postponed') {
        batch.postponed = inputs.slice(index);
        break;
      }
      if (verdict === 'applied') batch.applied.push({ input, effects: draft.effects.length });
      else batch.unchanged.push(input);
    } catch (error) {
      if (error instanceof RetryableError) throw error;
      batch.failure = { input, error, behind: inputs.slice(index + 1) };
      break;
    }
  }
  return batch;
}

/** Adds what one event changes; nothing if it throws. */
async function addTo<T extends ActorTypes>(
  draft: Draft<T>,
  base: ActorDocument<T['state']>,
  event: T['event'],
  deps: ReduceDeps<T>,
  context: BatchContext,
): Promise<'applied' | 'unchanged' | 'postponed'> {
  const known = deps.behaviour.deduplication(event);
  if (known && (await isRepeat(draft, base, event.type, known, deps))) return 'applied';
  const reduced = await reduceFully(draft, event, deps, context);
  if (reduced === null) return 'postponed';
  const { state, effects, sideWrites, counts } = reduced;
  const isChanged = known !== null || state !== draft.state || effects.length > 0 || sideWrites.length > 0;
  draft.state = state;
  draft.effects.push(...effects);
  draft.sideWrites.push(...sideWrites);
  draft.counts.push(...counts);
  if (known) {
    const newestOfType = Math.max(draft.newest[event.type] ?? known.time, known.time);
    draft.recentIds = [...draft.recentIds, known.id];
    draft.newest = { ...draft.newest, [event.type]: newestOfType };
  }
  return isChanged ? 'applied' : 'unchanged';
}

async function isRepeat<T extends ActorTypes>(
  draft: Draft<T>,
  base: ActorDocument<T['state']>,
  type: string,
  { id, time }: { id: string; time: number },
  { service, isProcessed }: ReduceDeps<T>,
): Promise<boolean> {
  if (draft.recentIds.includes(id)) return true;
  // Newer than all that the document no longer has, it can't be one of them.
  if (time > (base.newestMoved[type] ?? Number.NEGATIVE_INFINITY)) return false;
  return isProcessed(service, base._id, id);
}

/**
 * Reduces an event and the facts that the reducer asks for on the way.
 * @returns null if a fact is needed that may not be looked up yet
 */
async function reduceFully<T extends ActorTypes>(
  before: Draft<T>,
  event: T['event'],
  { behaviour, edges, now }: ReduceDeps<T>,
  { userKey, isHeldUp }: BatchContext,
): Promise<Pick<Draft<T>, 'state' | 'effects' | 'sideWrites' | 'counts'> | null> {
  const effects: T['effect'][] = [];
  const sideWrites: SideWrite[] = [];
  const counts: string[] = [];
  let { state } = before;
  let next = event;
  for (let lookups = 0; ; lookups++) {
    const decision = behaviour.reduce(state, next, { userKey, now: now(), isHeldUp: isHeldUp() });
    state = decision.state;
    effects.push(...decision.effects);
    sideWrites.push(...decision.sideWrites);
    counts.push(...(decision.counts ?? []));
    if (decision.lookup === undefined) return { state, effects, sideWrites, counts };
    if (before.sideWrites.length > 0) return null;
    if (lookups === MAX_LOOKUPS) throw new Error(`reducer asks without end (${event.type})`);
    next = await edges.lookUp(userKey, decision.lookup);
  }
}

/** Whether there is anything to save. */
export function isChanged<T extends ActorTypes>(
  base: ActorDocument<T['state']>,
  { draft }: Pick<ReducedBatch<T>, 'draft'>,
): boolean {
  const isMore = draft.effects.length > 0 || draft.sideWrites.length > 0;
  return isMore || draft.state !== base.state || draft.recentIds !== base.recentIds;
}

/** Whether nobody waits for this save: nothing follows from what was applied, and all of it may wait. */
export function isPatient<T extends ActorTypes>(
  base: ActorDocument<T['state']>,
  { draft, applied }: Pick<ReducedBatch<T>, 'draft' | 'applied'>,
  inputs: readonly Input<T>[],
  behaviour: Behaviour<T>,
): boolean {
  const call = behaviour.callOf(draft.state);
  return (
    draft.effects.length === 0 &&
    draft.sideWrites.length === 0 &&
    (call === null || call.id === behaviour.callOf(base.state)?.id) &&
    applied.length === inputs.length &&
    inputs.every(({ event, isOnTrial }) => !isOnTrial && behaviour.isPatient(event))
  );
}
