// Every failure of a WeCom call, as one of the two kinds of error. Never holds a token, a secret or a URL.
import { type ErrorCode, PermanentError, RetryableError } from '@pipeline/runtime';
import { describeErrcode, type ErrcodeClass } from './errcodes.ts';

export interface WecomFailure {
  /** Name of the API, such as `kf/send_msg`. */
  api: string;
  /** What WeCom answered; null if there was no valid answer. */
  errcode: number | null;
  class: ErrcodeClass;
  /**
   * The request may have been carried out though no valid answer came: time-out, connection lost once the request
   * had gone out, HTTP 5xx, an answer that isn't JSON or was cut off. False when WeCom refused, or nothing was sent.
   */
  isUnanswered: boolean;
  /** How long WeCom wants to be left alone; null if it didn't say. */
  retryAfterMs: number | null;
}

type Details = WecomFailure & { code: ErrorCode; message: string; context?: Record<string, unknown> };

/** WeCom's 45009 blocks for the rest of its window and doesn't say which; the minute is the shorter one (path/90313). */
const QUOTA_WINDOW_MS = 60_000;

const contextOf = ({ api, errcode, class: kind, isUnanswered, context }: Details): Record<string, unknown> => ({
  api,
  errcode,
  class: kind,
  isUnanswered,
  ...context,
});

/** A failed call whose message isn't to blame: it may work later (renewed token, fixed setting, customer's message). */
export class WecomRetryableError extends RetryableError implements WecomFailure {
  readonly api: string;
  readonly errcode: number | null;
  readonly class: ErrcodeClass;
  readonly isUnanswered: boolean;
  readonly retryAfterMs: number | null;

  constructor(details: Details) {
    super(details.code, details.message, { context: contextOf(details) });
    this.api = details.api;
    this.errcode = details.errcode;
    this.class = details.class;
    this.isUnanswered = details.isUnanswered;
    this.retryAfterMs = details.retryAfterMs;
  }
}

/** A call that WeCom will always refuse: class `permanent`. */
export class WecomPermanentError extends PermanentError implements WecomFailure {
  readonly api: string;
  readonly errcode: number | null;
  readonly class: ErrcodeClass;
  readonly isUnanswered: boolean;
  readonly retryAfterMs: number | null;

  constructor(details: Details) {
    super(details.code, details.message, { context: contextOf(details) });
    this.api = details.api;
    this.errcode = details.errcode;
    this.class = details.class;
    this.isUnanswered = details.isUnanswered;
    this.retryAfterMs = details.retryAfterMs;
  }
}

export type WecomError = WecomRetryableError | WecomPermanentError;

export function isWecomError(error: unknown): error is WecomError {
  return error instanceof WecomRetryableError || error instanceof WecomPermanentError;
}

/** WeCom answered with an errcode other than 0. `code` is `wecom-<errcode>`, but `wecom-busy` for -1. */
export function refusal(api: string, errcode: number, errmsg: string): WecomError {
  const { class: kind, meaning } = describeErrcode(errcode);
  const details: Details = {
    code: errcode === -1 ? 'wecom-busy' : `wecom-${errcode}`,
    message: `${api}: ${errcode}, ${meaning}`,
    api,
    errcode,
    class: kind,
    isUnanswered: false,
    retryAfterMs: errcode === 45009 ? QUOTA_WINDOW_MS : null,
    // Of the text only WeCom's own trace number: the rest may quote what was sent.
    context: { hint: /hint: \[(\d+)\]/.exec(errmsg)?.[1] ?? null },
  };
  return kind === 'permanent' ? new WecomPermanentError(details) : new WecomRetryableError(details);
}

/** WeCom says 0 but couldn't read the request, and has done nothing (path/90313). */
export function unreadRequest(api: string): WecomError {
  return new WecomPermanentError({
    code: 'wecom-wrong-json',
    message: `${api}: WeCom could not read the request as JSON`,
    api,
    errcode: 0,
    class: 'permanent',
    isUnanswered: false,
    retryAfterMs: null,
  });
}

/** Not called at all: the corp's quota for this API is spent, or WeCom has refused with 45009. */
export function quotaSpent(api: string, retryAfterMs: number): WecomError {
  return new WecomRetryableError({
    code: 'wecom-quota-spent',
    message: `${api}: the quota is spent`,
    api,
    errcode: null,
    class: 'retryable',
    isUnanswered: false,
    retryAfterMs,
  });
}

/** No valid answer. `code`: wecom-unreachable, -timeout, -connection-lost, -http-status, -invalid-answer, -oversized-answer. */
export function noAnswer(api: string, code: ErrorCode, detail: string, isUnanswered: boolean): WecomError {
  return new WecomRetryableError({
    code,
    message: `${api}: ${detail}`,
    api,
    errcode: null,
    class: 'retryable',
    isUnanswered,
    retryAfterMs: null,
  });
}
