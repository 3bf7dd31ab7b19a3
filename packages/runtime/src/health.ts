// What /readyz answers: the reasons why this process can't do its work now, if any.

/** Returns the reason why a dependency isn't usable now, or null while it is. */
export type ReadinessCheck = () => string | null;

export interface Health {
  /** Registers a named check; a check must answer at once (it reads remembered state). */
  add(name: string, check: ReadinessCheck): void;
  /** Extra facts for the readiness answer, e.g. which partitions this replica owns. */
  addDetail(name: string, read: () => unknown): void;
  /** All reasons, by check; empty when ready. */
  problems(): Record<string, string>;
  details(): Record<string, unknown>;
}

/** A registry of readiness checks. A service with no checks is not ready: it is still starting. */
export function createHealth(): Health {
  const checks = new Map<string, ReadinessCheck>();
  const details = new Map<string, () => unknown>();
  return {
    add: (name, check) => checks.set(name, check),
    addDetail: (name, read) => details.set(name, read),
    problems() {
      if (checks.size === 0) return { service: 'starting' };
      const problems: Record<string, string> = {};
      for (const [name, check] of checks) {
        const reason = check();
        if (reason !== null) problems[name] = reason;
      }
      return problems;
    },
    details: () => Object.fromEntries([...details].map(([name, read]) => [name, read()])),
  };
}
