// Saves of many actors in few round trips: whatever arrives while one write is under way goes into the next.
import {
  type ActorCollection,
  type ActorDocument,
  isStoreAway,
  type SaveOutcome,
  type SideWrite,
} from '@pipeline/store';

const MAX_BATCH = 500;
/** While one batch waits for the disk, the next is on its way. An actor has one save at a time, so none overtakes itself. */
const MAX_UNDER_WAY = 2;

interface PendingSave<S> {
  document: ActorDocument<S>;
  sides: SideWrite[];
  resolve(outcome: SaveOutcome): void;
  reject(error: unknown): void;
}

export interface GroupCommit<S> {
  /**
   * Writes the side documents, then the actor's document.
   * @throws RetryableError `store-away` (outcome unknown), or the driver's error if this save alone fails
   */
  save(document: ActorDocument<S>, sides: SideWrite[]): Promise<SaveOutcome>;
}

export function createGroupCommit<S>(
  collection: ActorCollection<S>,
  applySideWrites: (writes: readonly SideWrite[]) => Promise<void>,
  sidesSaved?: () => Promise<void> | void,
): GroupCommit<S> {
  const pending: PendingSave<S>[] = [];
  let underWay = 0;
  let isGathering = false;

  const write = async (batch: PendingSave<S>[]): Promise<void> => {
    try {
      const sides = batch.flatMap((save) => save.sides);
      if (sides.length > 0) await applySideWrites(sides);
      await sidesSaved?.();
      const outcomes = await collection.saveAll(batch.map((save) => save.document));
      batch.forEach((save, index) => {
        save.resolve(outcomes[index] as SaveOutcome);
      });
    } catch (error) {
      // One document that can't be written must not fail its neighbours.
      if (batch.length > 1 && !isStoreAway(error)) for (const save of batch) await write([save]);
      else for (const save of batch) save.reject(error);
    }
  };

  const flush = async () => {
    if (isGathering || underWay === MAX_UNDER_WAY || pending.length === 0) return;
    isGathering = true;
    // Lets the other actors whose events came in with the same read join the batch.
    await new Promise((resolve) => setImmediate(resolve));
    isGathering = false;
    underWay++;
    await write(pending.splice(0, MAX_BATCH));
    underWay--;
    void flush();
  };

  return {
    save(document, sides) {
      return new Promise((resolve, reject) => {
        pending.push({ document, sides, resolve, reject });
        void flush();
      });
    },
  };
}
