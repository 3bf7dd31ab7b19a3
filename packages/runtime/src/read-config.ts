// Reads a service's settings from the environment: every fault is named, and nothing starts with a wrong one.
import { z } from 'zod';
import { checkShape, type Fault } from './check-shape.ts';
import { ConfigError } from './errors.ts';

type Environment = Record<string, string | undefined>;

/**
 * Validates the environment against one zod object whose keys are the variables' names.
 * Empty strings count as "not set".
 * @throws ConfigError with one line that names every missing or wrong variable (never its value).
 */
export function readConfig<S extends z.ZodObject>(schema: S, env: Environment): z.infer<S> {
  const { value, faults } = check(schema, env);
  if (faults) throw new ConfigError(faults.join('; '));
  return value;
}

/** What `readConfig` would refuse: `PARTITIONS must be …`, one entry for each fault. */
export const findFaults = (schema: z.ZodObject, env: Environment): string[] => check(schema, env).faults ?? [];

function check<S extends z.ZodObject>(schema: S, env: Environment) {
  const given: Record<string, string> = {};
  for (const name of Object.keys(schema.shape)) {
    const value = env[name];
    if (value !== undefined && value !== '') given[name] = value;
  }
  const checked = checkShape(schema, given);
  if (!checked.faults) return checked;
  const name = ({ path, expected }: Fault) => `${path} ${expected === 'is required' ? 'is not set' : expected}`;
  return { value: undefined, faults: checked.faults.map(name) };
}

const wholeNumber = (min: number, max: number, unit = '') => {
  const wanted = `must be a whole number${unit} from ${min} to ${max}`;
  return z
    .string()
    .trim()
    .regex(/^\d+$/, { message: wanted, abort: true })
    .transform(Number)
    .refine((value) => value >= min && value <= max, wanted);
};

/** What Node's timers can wait: anything longer would fire at once. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** A duration in milliseconds. */
export const durationMs = (defaultMs: number, minMs = 1, maxMs = MAX_TIMER_MS) =>
  wholeNumber(minMs, maxMs, ' of milliseconds').default(defaultMs);

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
export const text = () => z.string().trim().min(1, 'must not be blank');

/** What every service needs. */
export const commonSettings = {
  BIND_ADDRESS: z.string().default('127.0.0.1').describe('address of this machine to listen on; `0.0.0.0` is all'),
  RABBITMQ_URL: url('amqp:', 'amqps:').describe('the broker and its vhost'),
  // May list several hosts, which makes it no URL.
  MONGODB_URI: z
    .string()
    .regex(/^mongodb(\+srv)?:\/\/[^/\s]/, 'must be a URL starting with mongodb:// or mongodb+srv://')
    .describe('the database, on a replica set'),
  PARTITIONS: count(24, 1, 99).describe('mailbox queues of router and sender each; fixed once deployed'),
  LOG_LEVEL: z
    .enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'])
    .default('info')
    .describe('least level that is logged'),
};

/** What a service needs that calls WeCom. */
export const wecomSettings = {
  IT0_WECOM_CORP_ID: text().describe('the corp in WeCom'),
  IT0_WECOM_KF_SECRET: text().describe(
    'secret of the app that may use the KF account; WeCom gives access tokens for it',
  ),
  IT0_WECOM_KF_OPEN_KFID: text().describe('the KF account (`wk…`)'),
  IT0_WECOM_API_URL: url('http:', 'https:').default('https://qyapi.weixin.qq.com').describe('base of WeCom’s API'),
  WECOM_QUOTA_PER_MINUTE: count(10_000).describe('calls of one WeCom API in any minute, by all replicas together'),
  WECOM_QUOTA_PER_HOUR: count(150_000, 1, 10_000_000).describe('… in any hour'),
  WECOM_TIMEOUT_MS: durationMs(10_000).describe('how long a call of WeCom’s API may take'),
};
