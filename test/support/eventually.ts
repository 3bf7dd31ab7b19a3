// Waiting for a condition instead of sleeping.

/**
 * Calls `read` until it returns something other than undefined, null or false.
 * @throws the last error, or "not within …", naming what was waited for
 */
export async function eventually<T>(
  what: string,
  read: () => T | Promise<T>,
  { withinMs = 40_000, everyMs = 20 } = {},
): Promise<NonNullable<T>> {
  const giveUpAt = performance.now() + withinMs;
  let failure: unknown;
  for (;;) {
    try {
      const value = await read();
      failure = undefined;
      if (value !== undefined && value !== null && value !== false) return value;
    } catch (error) {
      failure = error;
    }
    if (performance.now() > giveUpAt)
      throw new Error(`${what}: not within ${withinMs} ms`, failure === undefined ? undefined : { cause: failure });
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}
