// For tests: the process dies between two steps of handling an event.

/** For tests that stop or kill the process between two steps; named after the step just done. */
export type FaultPoint = (
  step: 'side-writes-saved' | 'saved' | 'effect-run' | 'removed' | 'acked',
) => Promise<void> | void;

/**
 * `FAULT_POINT=saved:3` kills the process when the step `saved` is done for the third time. Heeded only where NODE_ENV
 * is `test`, which no deployment sets.
 */
export function faultPointOf(env: Record<string, string | undefined>): FaultPoint | undefined {
  const [wanted, times = '1'] = (env.FAULT_POINT ?? '').split(':');
  if (!wanted || env.NODE_ENV !== 'test') return undefined;
  let left = Number(times);
  return (step) => {
    if (step === wanted && --left === 0) process.kill(process.pid, 'SIGKILL');
  };
}
