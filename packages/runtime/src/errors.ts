// The two kinds of failure, and nothing else: try again, or don't.
// Duplicate, unbound or expired are outcomes (returned values), never errors.

import type { ErrorCode } from './error-codes.ts';

const MAX_CAUSES = 5;

interface ErrorOptions {
  cause?: unknown;
  /** What was attempted, for the log: never message texts, tokens or codes. */
  context?: Record<string, unknown>;
}

abstract class CodedError extends Error {
  readonly code: ErrorCode;
  readonly context: Record<string, unknown>;

  constructor(code: ErrorCode, message: string, options: ErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.context = options.context ?? {};
    this.name = new.target.name;
  }
}

/** May work if tried again: timeout, 5xx, database or broker away. */
export class RetryableError extends CodedError {}

/** Won't work however often it is tried. */
export class PermanentError extends CodedError {}

/** A message that doesn't keep to its contract. */
export class InvalidMessageError extends PermanentError {}

/** A setting that is missing or wrong: the process stops with this one line. */
export class ConfigError extends PermanentError {
  constructor(message: string, options: ErrorOptions = {}) {
    super('config-invalid', message, options);
  }
}

/** The error's stable code, or `unexpected` for anything that isn't one of ours. */
export function errorCode(error: unknown): ErrorCode {
  return error instanceof CodedError ? error.code : 'unexpected';
}

/** Message and causes of an error in one line, for logs and readiness answers. Says the same thing once. */
export function describeError(error: unknown): string {
  const said: string[] = [];
  for (let at = error, depth = 0; at !== undefined && at !== null && depth < MAX_CAUSES; depth++) {
    // Not `instanceof`: an error of another realm (a test's, a worker's) is an error all the same.
    const { message, name, errors, cause } = Object(at) as Partial<AggregateError>;
    // Some causes are no errors: the driver's picture of its servers, say. Its words stand in what it is the cause of.
    const thing = typeof at === 'object' ? (said.length > 0 ? '' : (at.constructor?.name ?? 'object')) : String(at);
    const words = message || (errors?.[0] ? describeError(errors[0]) : (name ?? thing));
    if (!said.some((known) => known.includes(words))) said.push(words);
    at = cause;
  }
  return said.join(': ');
}
