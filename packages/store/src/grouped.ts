// Many small operations in few round trips: whatever is asked for while some are under way goes together into the next.
import { storing } from './store-errors.ts';

const MAX_SIZE = 500;
/** While one group waits for the database, the next is on its way. */
const MAX_UNDER_WAY = 2;

/**
 * Makes one operation out of one that takes many.
 * @param runAll gets inputs in the order they came and returns an output for each; if it fails, all of its inputs do
 */
export function grouped<I, O>(runAll: (inputs: I[]) => Promise<O[]>): (input: I) => Promise<O> {
  const waiting: { input: I; resolve(output: O): void; reject(error: unknown): void }[] = [];
  let underWay = 0;
  let isGathering = false;

  const flush = async () => {
    if (isGathering || underWay === MAX_UNDER_WAY || waiting.length === 0) return;
    isGathering = true;
    // Lets all that came in with the same read of a socket join.
    await new Promise((resolve) => setImmediate(resolve));
    isGathering = false;
    underWay++;
    const group = waiting.splice(0, MAX_SIZE);
    try {
      const outputs = await runAll(group.map(({ input }) => input));
      for (const [index, { resolve }] of group.entries()) resolve(outputs[index] as O);
    } catch (error) {
      for (const { reject } of group) reject(error);
    }
    underWay--;
    void flush();
  };

  return (input) =>
    new Promise((resolve, reject) => {
      waiting.push({ input, resolve, reject });
      void flush();
    });
}

/**
 * The same for reads by `_id` from one of the driver's collections: what isn't found is null.
 * @throws RetryableError `store-away`
 */
export function groupedFind<V extends { _id: string }>(
  collection: { find(filter: object, options: object): { toArray(): Promise<unknown[]> } },
  projection: Record<string, 0 | 1> = {},
): (id: string) => Promise<V | null> {
  return grouped(async (ids: string[]) => {
    const filter = { _id: { $in: [...new Set(ids)] } };
    const documents = (await storing(() => collection.find(filter, { projection }).toArray())) as V[];
    const found = new Map(documents.map((document) => [document._id, document]));
    return ids.map((id) => found.get(id) ?? null);
  });
}
