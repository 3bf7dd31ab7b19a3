// When WeCom turns a whole account away, nobody asks again before it makes sense.

export interface AccountGate {
  /** How long to wait before the next call, ms; 0 when calls may go. */
  closedForMs(): number;
  /** @param reason for the readiness answer; null when it passes by itself */
  close(forMs: number, reason: string | null): void;
  /** A call went through: whatever was wrong is mended. */
  opened(): void;
  /** What an operator has to mend, or null. */
  problem(): string | null;
}

export function createAccountGate(): AccountGate {
  let closedUntil = 0;
  let problem: string | null = null;
  return {
    closedForMs: () => Math.max(0, closedUntil - performance.now()),
    close(forMs, reason) {
      closedUntil = Math.max(closedUntil, performance.now() + forMs);
      if (reason !== null) problem = reason;
    },
    opened() {
      problem = null;
    },
    problem: () => problem,
  };
}
