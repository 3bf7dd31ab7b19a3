// Structured logs: one JSON object per line, secrets and message texts cut out.
import { type Logger, pino } from 'pino';
import { describeError, errorCode } from './errors.ts';

export type { Logger };

// `code` is a binding code in a payload; an error's own stable code stands under `errorCode`.
const SECRET_FIELDS = new Set([
  'token',
  'access_token',
  'accessToken',
  'corpsecret',
  'secret',
  'authorization',
  'code',
  'content',
  'text',
  'prompt',
  'callbackUrl',
  'password',
  'headers',
]);
const MAX_DEPTH = 3;

/** A value without what could hold a secret. By hand: pino's own redaction takes 35 µs a line with wildcards. */
function redact(value: unknown, depth = 0): unknown {
  if (Array.isArray(value)) return depth > MAX_DEPTH ? '[cut]' : value.map((one) => redact(one, depth + 1));
  if (typeof value !== 'object' || value === null || Object.getPrototypeOf(value) !== Object.prototype) return value;
  if (depth > MAX_DEPTH) return '[cut]';
  return Object.fromEntries(
    Object.entries(value).map(([name, inner]) => [name, SECRET_FIELDS.has(name) ? '[cut]' : redact(inner, depth + 1)]),
  );
}

/** A pino logger for one service. Fields that could hold secrets or message texts are replaced by `[cut]`. */
export function createLogger(options: { service: string; level: string; destination?: { write(line: string): void } }) {
  return pino(
    {
      level: options.level,
      base: { service: options.service },
      formatters: { log: (fields) => redact(fields) as Record<string, unknown> },
      serializers: { err: describeError },
      timestamp: pino.stdTimeFunctions.isoTime,
    },
    options.destination ?? pino.destination({ fd: 1, sync: false }),
  );
}

/** The fields by which every log line tells of an error: its stable code and its causes in one line, no stack. */
export function errorFields(error: unknown): { errorCode: string; err: unknown; stack?: string } {
  const code = errorCode(error);
  // A stack only where the error is none of ours: then it is a bug and the stack is what finds it.
  return code === 'unexpected' && error instanceof Error && error.stack
    ? { errorCode: code, err: error, stack: error.stack }
    : { errorCode: code, err: error };
}
