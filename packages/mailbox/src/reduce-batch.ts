// A user's waiting events, reduced one after another into what one save has to write.
import { RetryableError } from '@pipeline/runtime';
import type { ActorDocument, SideWrite, StoredEffect } from '@pipeline/store';
import type { ActorDeps, Input } from './actor-types.ts';
import type { ActorEvent, Behaviour, OpenCall } from './behaviour.ts';

/** Lookups in a row for one event; more is a bug in the reducer. */
const MAX_LOOKUPS = 100;

/** What events add up to before they are saved. */
export interface Draft<S, Fx> {
  state: S;
  effects: Fx[];
  sides: SideWrite[];
  counts: string[];
  recentIds: string[];
  newest: Record<string, number>;
}

export interface ReducedBatch<S, Ev, Fx> {
  draft: Draft<S, Fx>;
  /** Events that are in the draft, or were applied before; `effects` of the draft precede or belong to each. */
  applied: { input: Input<Ev>; effects: number }[];
  /** Events that would change nothing. */
  unchanged: Input<Ev>[];
  /** The event on which the reducer threw; those behind it are in neither list. */
  failure: { input: Input<Ev>; error: unknown } | null;
  /** Events that must wait for the save: the first needs a fact that may be in an unsaved side document. */
  postponed: Input<Ev>[];
}

export function createBatchReducer<S, Ev extends ActorEvent, Fx extends StoredEffect, Call extends OpenCall, Lookup>(
  userKey: string,
  deps: Pick<ActorDeps<S, Ev, Fx, Call, Lookup>, 'service' | 'behaviour' | 'edges' | 'isProcessed' | 'now'>,
  isHeldUp: () => boolean,
) {
  const { behaviour, edges } = deps;

  const isSeen = async (
    base: ActorDocument<S>,
    recentIds: string[],
    type: string,
    known: { id: string; time: number },
  ): Promise<boolean> => {
    if (recentIds.includes(known.id)) return true;
    // Newer than all that the document no longer has, it can't be one of them.
    if (known.time > (base.newestMoved[type] ?? Number.NEGATIVE_INFINITY)) return false;
    return deps.isProcessed(deps.service, userKey, known.id);
  };

  /**
   * Reduces an event and the facts that the reducer asks for on the way. Nothing is kept if it throws.
   * @returns null if a fact is needed that may not be looked up yet
   */
  const reduceFully = async (before: S, event: Ev, mayLookUp: boolean) => {
    const effects: Fx[] = [];
    const sides: SideWrite[] = [];
    const counts: string[] = [];
    let state = before;
    let next = event;
    for (let lookups = 0; ; lookups++) {
      const decision = behaviour.reduce(state, next, { userKey, now: deps.now(), isHeldUp: isHeldUp() });
      state = decision.state;
      effects.push(...decision.effects);
      sides.push(...decision.sides);
      counts.push(...(decision.counts ?? []));
      if (decision.lookup === undefined) return { state, effects, sides, counts };
      if (!mayLookUp) return null;
      if (lookups === MAX_LOOKUPS) throw new Error(`reducer asks without end (${event.type})`);
      next = await edges.lookUp(userKey, decision.lookup);
    }
  };

  /** @throws RetryableError when a fact can't be read */
  return async (base: ActorDocument<S>, inputs: readonly Input<Ev>[]): Promise<ReducedBatch<S, Ev, Fx>> => {
    const { state, recentIds, newest } = base;
    const draft: Draft<S, Fx> = { state, effects: [], sides: [], counts: [], recentIds, newest };
    const batch: ReducedBatch<S, Ev, Fx> = { draft, applied: [], unchanged: [], failure: null, postponed: [] };
    for (const [index, input] of inputs.entries()) {
      try {
        const known = behaviour.deduplication(input.event);
        if (known && (await isSeen(base, draft.recentIds, input.event.type, known))) {
          batch.applied.push({ input, effects: draft.effects.length });
          continue;
        }
        const reduced = await reduceFully(draft.state, input.event, draft.sides.length === 0);
        if (reduced === null) {
          batch.postponed = inputs.slice(index);
          break;
        }
        const isChanged =
          known !== null || reduced.state !== draft.state || reduced.effects.length > 0 || reduced.sides.length > 0;
        draft.state = reduced.state;
        draft.effects.push(...reduced.effects);
        draft.sides.push(...reduced.sides);
        draft.counts.push(...reduced.counts);
        if (known) {
          draft.recentIds = [...draft.recentIds, known.id];
          const { type } = input.event;
          draft.newest = { ...draft.newest, [type]: Math.max(draft.newest[type] ?? known.time, known.time) };
        }
        if (isChanged) batch.applied.push({ input, effects: draft.effects.length });
        else batch.unchanged.push(input);
      } catch (error) {
        if (error instanceof RetryableError) throw error;
        batch.failure = { input, error };
        break;
      }
    }
    return batch;
  };
}

/** Whether these inputs may wait for another save: nothing follows from them that anybody waits for. */
export function canRest<S, Ev extends ActorEvent, Fx extends StoredEffect, Call extends OpenCall, Lookup>(
  behaviour: Behaviour<S, Ev, Fx, Call, Lookup>,
  before: S,
  { draft, applied }: ReducedBatch<S, Ev, Fx>,
  inputs: readonly Input<Ev>[],
): boolean {
  const call = behaviour.callOf(draft.state);
  return (
    // Without any, the step is there to look after effects and deliveries of earlier ones.
    inputs.length > 0 &&
    draft.effects.length === 0 &&
    applied.length === inputs.length &&
    (call === null || call.id === behaviour.callOf(before)?.id) &&
    inputs.every(({ event, isAlone }) => !isAlone && behaviour.canRest(event))
  );
}
