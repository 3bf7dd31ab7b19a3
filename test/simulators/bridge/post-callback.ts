// Bridge simulator: the callback to the router, tried again while the router can't take it.
import http from 'node:http';
import https from 'node:https';
import { setTimeout as wait } from 'node:timers/promises';
import type { CallbackRecord } from './task-book.ts';

const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 2000;

/** The router closes idle connections after 5 s or more; a connection cut at that moment counts as no answer. */
const plainAgent = new http.Agent({ keepAlive: true, timeout: 4000 });
const secureAgent = new https.Agent({ keepAlive: true, timeout: 4000 });

export type CallbackCall = { url: string; body: string; dying: AbortSignal };
export type PostCallback = (call: CallbackCall, record: CallbackRecord) => Promise<void>;

/**
 * Tries again on 503, on connection failures and when nothing comes for `tryMs`, for `retryForMs` at most; every other
 * answer is final.
 */
export function createPostCallback(
  { retryForMs, tryMs }: { retryForMs: number; tryMs: number },
  callbackTo = (url: string) => url,
): PostCallback {
  return async (call, record) => {
    const endsAt = performance.now() + retryForMs;
    for (let pauseMs = FIRST_PAUSE_MS; !call.dying.aborted; pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)) {
      await tryOnce({ ...call, url: callbackTo(call.url) }, record, tryMs);
      const isFinal = record.status !== 0 && record.status !== 503;
      if (isFinal || performance.now() + pauseMs > endsAt) break;
      // Cut short when the instance dies; the loop looks at the signal.
      await wait(pauseMs, undefined, { signal: call.dying }).catch(() => undefined);
    }
    record.hasEnded = true;
  };
}

async function tryOnce(call: CallbackCall, record: CallbackRecord, tryMs: number): Promise<void> {
  record.attempts += 1;
  try {
    const { status, body } = await post(call, tryMs);
    record.status = status;
    record.body = body.slice(0, 1000);
  } catch {
    // No answer: status 0, tried again by the caller.
    record.status = 0;
  }
  record.answeredAt = performance.timeOrigin + performance.now();
}

/** node:http rather than fetch: half the cost for each of the benchmark's many callbacks. */
function post({ url, body, dying }: CallbackCall, tryMs: number): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const isSecure = url.startsWith('https:');
    const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
    const options = { method: 'POST', headers, signal: dying, timeout: tryMs };
    const request = isSecure
      ? https.request(url, { ...options, agent: secureAgent })
      : http.request(url, { ...options, agent: plainAgent });
    request.on('error', reject);
    request.on('timeout', () => request.destroy(new Error('the router is too slow')));
    request.on('response', (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString() }));
      response.on('error', reject);
    });
    request.end(body);
  });
}
