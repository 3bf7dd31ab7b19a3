// ingest: what a failed sync_msg means for the polling.
import { describeErrcode, isWecomError } from '@pipeline/wecom';

// Wrong secret, wrong corp id: asking again gets this host's IP blocked for an hour.
const BARRING_ERRCODES = new Set([40001, 40013]);

export interface Refusal {
  errcode: number | null;
  /** How long WeCom wants to be left alone, where it says so. */
  retryAfterMs: number | null;
  /** No further request before somebody has mended the configuration and restarted. */
  isBarred: boolean;
  /** What to mend, for the operator; null where time alone helps. */
  hint: string | null;
}

/** Null for anything but a failure of WeCom's. */
export function refusalOf(error: unknown): Refusal | null {
  if (!isWecomError(error)) return null;
  const { errcode, retryAfterMs } = error;
  const passes = error.class === 'retryable' || error.class === 'token';
  const fix = errcode === null ? '' : ` ${describeErrcode(errcode).hint}`;
  return {
    errcode,
    retryAfterMs,
    isBarred: errcode !== null && BARRING_ERRCODES.has(errcode),
    hint: passes ? null : `${error.message}.${fix}`,
  };
}
