// Announces answers again that no turn has taken: the broker may have been away when they came.
import { type Logger, type Repetition, repeat } from '@pipeline/runtime';
import { type Store, taskId } from '@pipeline/store';
import type { AnnounceAnswer } from './announce-answer.ts';

const SWEEP_INTERVAL_MS = 1_000;
const UNTAKEN_AFTER_MS = 2_000;
const ANSWERS_PER_SWEEP = 500;
/** Each announcement of an answer whose text can't go out adds to its conversation. */
const MAX_POSTPONED_MS = 6_000;

export function startAnswerSweep(deps: { store: Store; announce: AnnounceAnswer; logger: Logger }): Repetition {
  const { store, announce, logger } = deps;

  const sweepOnce = async () => {
    const now = store.now();
    const untaken = await store.tasks.untaken(now - UNTAKEN_AFTER_MS, ANSWERS_PER_SWEEP);
    if (untaken.length === 0) return;
    // First put off, then announced: every replica sweeps.
    await store.tasks.postpone(
      untaken.map(({ userKey, msgId }) => taskId(userKey, msgId)),
      now,
      MAX_POSTPONED_MS,
    );
    for (const { userKey, msgId } of untaken) announce.stored(userKey, msgId);
  };

  return repeat({
    everyMs: SWEEP_INTERVAL_MS,
    isPossible: () => store.problem() === null,
    work: sweepOnce,
    logger,
    failed: 'sweep.failed',
  });
}
