// For operators: how many users have an answer waiting until they write again. Each replica tells of all users.
import type { Metrics } from '@pipeline/runtime';
import type { Store, WaitingTexts } from '@pipeline/store';

/** One measurement serves all gauges of a scrape. */
const FRESH_MS = 1_000;

export function watchWaitingTexts({ waitingTexts, now }: Pick<Store, 'waitingTexts' | 'now'>, metrics: Metrics): void {
  let last: { at: number; found: Promise<WaitingTexts> } | null = null;
  const measure = () => {
    if (!last || performance.now() - last.at > FRESH_MS)
      last = { at: performance.now(), found: waitingTexts.measure() };
    return last.found;
  };
  /** NaN while the database is away. */
  const gauge = (name: string, help: string, read: (found: WaitingTexts) => number) =>
    metrics.gaugeOf(name, help, () => measure().then(read, () => Number.NaN));

  gauge('sender_users_waiting', 'Users with an answer that waits until they write again', ({ users }) => users);
  gauge('sender_texts_waiting', 'Answers that wait until their user writes again', ({ texts }) => texts);
  gauge('sender_oldest_waiting_seconds', 'How long the oldest of them waits', ({ oldestSince }) =>
    oldestSince === null ? 0 : Math.max(0, (now() - oldestSince) / 1_000),
  );
}
