// Reads a service's settings from the environment: every fault is named, and nothing starts with a wrong one.
import { z } from 'zod';
import { ConfigError } from './errors.ts';

/**
 * Validates the environment against one zod object whose keys are the variables' names.
 * Empty strings count as "not set".
 * @throws ConfigError with one line that names every missing or wrong variable (never its value).
 */
export function readConfig<S extends z.ZodObject>(schema: S, env: Record<string, string | undefined>): z.infer<S> {
  const given: Record<string, string> = {};
  for (const name of Object.keys(schema.shape)) {
    const value = env[name];
    if (value !== undefined && value !== '') given[name] = value;
  }
  const result = schema.safeParse(given, { reportInput: false });
  if (result.success) return result.data;
  const faults = result.error.issues.map((issue) => {
    const name = String(issue.path[0]);
    return given[name] === undefined ? `${name} is not set` : `${name}: ${issue.message}`;
  });
  throw new ConfigError(faults.join('; '));
}

const wholeNumber = (min: number, max: number) =>
  z
    .string()
    .regex(/^\d+$/, 'must be a whole number')
    .transform(Number)
    .refine((value) => value >= min && value <= max, `must be between ${min} and ${max}`);

/** A duration in milliseconds. */
export const durationMs = (defaultMs: number, minMs = 1) => wholeNumber(minMs, 2 ** 40).default(defaultMs);

/** A count, percentage or similar whole number. */
export const count = (defaultValue: number, min = 1, max = 1_000_000) => wholeNumber(min, max).default(defaultValue);

/** A TCP port. */
export const port = (defaultPort: number) => wholeNumber(1, 65_535).default(defaultPort);

/** A required URL with one of the given protocols (`http:` style). */
export const url = (...protocols: string[]) =>
  z.string().refine(
    (value) => {
      try {
        return protocols.includes(new URL(value).protocol);
      } catch {
        return false;
      }
    },
    `must be a URL starting with ${protocols.map((p) => `${p}//`).join(' or ')}`,
  );

/** A required secret or identifier. */
export const text = () => z.string().trim().min(1);

/** What every service needs. */
export const commonSettings = {
  BIND_ADDRESS: z.string().default('127.0.0.1'),
  RABBITMQ_URL: url('amqp:', 'amqps:'),
  MONGODB_URI: url('mongodb:', 'mongodb+srv:'),
  PARTITIONS: count(24, 1, 99),
  LOG_LEVEL: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']).default('info'),
};
