// Saves of many actors in few round trips: side documents first, then the actors' own.
import {
  type ActorCollection,
  type ActorDocument,
  grouped,
  isStoreAway,
  type SaveOutcome,
  type SideWrite,
} from '@pipeline/store';
import type { FaultPoint } from './actor-types.ts';

export interface GroupCommit<S> {
  /**
   * Writes the side documents, then the actor's document. An actor has one save at a time, so none overtakes itself.
   * @throws RetryableError `store-away` (outcome unknown), or the driver's error if this save alone fails
   */
  save(document: ActorDocument<S>, sides: SideWrite[]): Promise<SaveOutcome>;
}

interface Save<S> {
  document: ActorDocument<S>;
  sides: SideWrite[];
}

export function createGroupCommit<S>(
  collection: ActorCollection<S>,
  applySideWrites: (writes: readonly SideWrite[]) => Promise<void>,
  faultPoint?: FaultPoint,
): GroupCommit<S> {
  const write = async (saves: Save<S>[]): Promise<(SaveOutcome | { error: unknown })[]> => {
    try {
      const sides = saves.flatMap((save) => save.sides);
      if (sides.length > 0) await applySideWrites(sides);
      await faultPoint?.('sides-saved');
      return await collection.saveAll(saves.map((save) => save.document));
    } catch (error) {
      if (saves.length === 1 || isStoreAway(error)) return saves.map(() => ({ error }));
      // One document that can't be written must not fail its neighbours; or all of them are too much for one command.
      const half = Math.ceil(saves.length / 2);
      return [...(await write(saves.slice(0, half))), ...(await write(saves.slice(half)))];
    }
  };
  const saveOne = grouped(write);

  return {
    async save(document, sides) {
      const outcome = await saveOne({ document, sides });
      if (typeof outcome === 'object') throw outcome.error;
      return outcome;
    },
  };
}
