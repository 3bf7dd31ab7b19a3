// Bridge simulator: the callback to the router, tried again while the router can't take it.
import { setTimeout as wait } from 'node:timers/promises';
import type { CallbackRecord } from './task-book.ts';

const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 2000;
const TRY_TIMEOUT_MS = 15_000;

export type CallbackCall = { url: string; body: string; dying: AbortSignal };
export type PostCallback = (call: CallbackCall, record: CallbackRecord) => Promise<void>;

/** Tries again on 503 and on connection failures, for `retryForMs` at most; every other answer is final. */
export function createPostCallback(retryForMs: number): PostCallback {
  return async (call, record) => {
    const endsAt = performance.now() + retryForMs;
    for (let pauseMs = FIRST_PAUSE_MS; !call.dying.aborted; pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)) {
      await tryOnce(call, record);
      const isFinal = record.status !== 0 && record.status !== 503;
      if (isFinal || performance.now() + pauseMs > endsAt) break;
      // Cut short when the instance dies; the loop looks at the signal.
      await wait(pauseMs, undefined, { signal: call.dying }).catch(() => undefined);
    }
    record.hasEnded = true;
  };
}

async function tryOnce({ url, body, dying }: CallbackCall, record: CallbackRecord): Promise<void> {
  record.attempts += 1;
  try {
    const signal = AbortSignal.any([dying, AbortSignal.timeout(TRY_TIMEOUT_MS)]);
    const headers = { 'content-type': 'application/json' };
    const response = await fetch(url, { method: 'POST', headers, body, signal });
    record.status = response.status;
    record.body = (await response.text()).slice(0, 1000);
  } catch {
    // No answer: status 0, tried again by the caller.
    record.status = 0;
  }
  record.answeredAt = performance.timeOrigin + performance.now();
}
