// Bench: what is told of many latencies.

export interface Latency {
  count: number;
  /** All in ms. */
  p50: number;
  p90: number;
  p99: number;
  max: number;
}

/** The smallest value that so many percent of all don't exceed (nearest rank). */
export function latencyOf(valuesMs: readonly number[]): Latency {
  const sorted = valuesMs.toSorted((a, b) => a - b);
  const at = (percent: number) => sorted[Math.max(0, Math.ceil((percent / 100) * sorted.length) - 1)] ?? Number.NaN;
  return { count: sorted.length, p50: at(50), p90: at(90), p99: at(99), max: at(100) };
}
