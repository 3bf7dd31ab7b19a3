// Reads asked for in the same turn of the event loop, answered by one query.

/** @param loadMany one query for many keys; keys without a value are absent from the map */
export function createGroupLoad<V>(
  loadMany: (keys: string[]) => Promise<Map<string, V>>,
): (key: string) => Promise<V | null> {
  let waiting = new Map<string, Promise<V | null>>();
  let batch: Promise<Map<string, V>> | null = null;
  return (key) => {
    const known = waiting.get(key);
    if (known) return known;
    batch ??= new Promise((resolve, reject) => {
      setImmediate(() => {
        const keys = [...waiting.keys()];
        waiting = new Map();
        batch = null;
        loadMany(keys).then(resolve, reject);
      });
    });
    const mine = batch.then((found) => found.get(key) ?? null);
    waiting.set(key, mine);
    return mine;
  };
}
