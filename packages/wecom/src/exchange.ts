// One HTTP request and its answer. Tells apart "never sent" from "sent, and who knows".
import type { IncomingHttpHeaders } from 'node:http';
import { type FormData, Pool } from 'undici';

export interface HttpRequest {
  method: 'GET' | 'POST';
  /** Below the API's address, with the query. */
  path: string;
  /** A string is sent as JSON. */
  body?: string | FormData;
  maxAnswerBytes: number;
}

export type HttpOutcome =
  | { kind: 'answer'; status: number; headers: IncomingHttpHeaders; body: Buffer }
  /** `reason` names the fault without any part of the URL. */
  | { kind: 'failure'; cause: 'timeout' | 'connection' | 'oversized'; isSent: boolean; reason: string };

export interface Exchange {
  (request: HttpRequest): Promise<HttpOutcome>;
  close(): Promise<void>;
}

/**
 * Requests to one host over up to `connections` kept-alive HTTP/1.1 connections. Never throws.
 * `timeoutMs` covers waiting for a connection, connecting, sending and the whole answer.
 */
export function createExchange(apiUrl: URL, timeoutMs: number, connections: number): Exchange {
  const prefix = apiUrl.pathname.replace(/\/+$/, '');
  const pool = new Pool(apiUrl.origin, {
    connections,
    allowH2: false,
    connect: { timeout: timeoutMs },
    headersTimeout: 0,
    bodyTimeout: 0,
  });

  const exchange = ({ method, path, body, maxAnswerBytes }: HttpRequest): Promise<HttpOutcome> =>
    new Promise((resolve) => {
      const chunks: Buffer[] = [];
      let size = 0;
      let status = 0;
      let headers: IncomingHttpHeaders = {};
      let isSent = false;
      let isDone = false;
      let abort: ((reason: Error) => void) | undefined;

      const finish = (outcome: HttpOutcome): void => {
        if (isDone) return;
        isDone = true;
        clearTimeout(timer);
        resolve(outcome);
        if (outcome.kind === 'failure') abort?.(new Error(outcome.reason));
      };
      const timer = setTimeout(
        () => finish({ kind: 'failure', cause: 'timeout', isSent, reason: `no answer within ${timeoutMs} ms` }),
        timeoutMs,
      );

      pool.dispatch(
        {
          method,
          path: prefix + path,
          body: body ?? null,
          headers: typeof body === 'string' ? { 'content-type': 'application/json; charset=utf-8' } : {},
        },
        {
          // Called with a connection in hand, right before the first byte is written.
          onRequestStart(controller) {
            abort = (reason) => controller.abort(reason);
            if (isDone) abort(new Error('timed out while waiting for a connection'));
            else isSent = true;
          },
          onResponseStart(_controller, statusCode, answerHeaders) {
            status = statusCode;
            headers = answerHeaders;
          },
          onResponseData(_controller, chunk) {
            size += chunk.length;
            chunks.push(chunk);
            if (size > maxAnswerBytes)
              finish({ kind: 'failure', cause: 'oversized', isSent, reason: `answer of over ${maxAnswerBytes} bytes` });
          },
          onResponseEnd() {
            finish({ kind: 'answer', status, headers, body: Buffer.concat(chunks) });
          },
          onResponseError(_controller, error) {
            finish({ kind: 'failure', cause: 'connection', isSent, reason: faultName(error) });
          },
        },
      );
    });
  return Object.assign(exchange, { close: () => pool.close() });
}

/** The system's or undici's name of a fault (ECONNREFUSED, UND_ERR_SOCKET …): messages may quote what was sent. */
const faultName = (error: Error & { code?: unknown }): string =>
  typeof error.code === 'string' ? error.code : error.name;
