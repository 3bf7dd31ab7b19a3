// Soak ─▶ the end: until everybody is answered.
import type { Machine } from './machine.ts';
import type { Users } from './users.ts';
import { findUnanswered } from './verdict.ts';

export const NUDGE_EVERY_MS = 5_000;

/**
 * Waits until every message is answered. Whoever waits for long writes again, as people do: answers may wait for the
 * next allowance.
 * @returns false if that takes longer than `withinMs`
 */
export async function settle(machine: Machine, users: Users, withinMs: number): Promise<boolean> {
  const giveUpAt = performance.now() + withinMs;
  let nudgedAt = performance.now();
  for (;;) {
    const open = findUnanswered(machine, users.said);
    if (open.length === 0) return true;
    if (performance.now() > giveUpAt) return false;
    if (performance.now() - nudgedAt > NUDGE_EVERY_MS) {
      nudgedAt = performance.now();
      users.nudge([...new Set(open.map(({ user }) => user))]);
    }
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}
