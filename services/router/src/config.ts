// Every setting of the router.
import { bridgeNetworks, commonSettings, count, durationMs, port, url } from '@pipeline/runtime';
import { z } from 'zod';

const MIN_KEY_LENGTH = 32;

export const routerSettings = z.object({
  ...commonSettings,
  ROUTER_PORT: port(3103).describe('port of the bridge callbacks'),
  AGENT_SERVICE_PUBLIC_URL: url('http:', 'https:')
    .transform((base) => base.replace(/\/+$/, ''))
    .describe('address at which bridges reach the router, base of the callback URL'),
  CALLBACK_SIGNING_KEYS: z
    .string()
    .transform((keys) => keys.split(',').map((key) => key.trim()))
    .refine(
      (keys) => keys.every((key) => key.length >= MIN_KEY_LENGTH),
      `must hold keys of ${MIN_KEY_LENGTH} characters or more`,
    )
    .describe(`secret: keys of ${MIN_KEY_LENGTH} characters or more, comma-separated; the first signs, all verify`),
  BRIDGE_ALLOWED_NETWORKS: bridgeNetworks(),
  RATE_LIMIT_PER_MINUTE: count(10).describe('messages of a user within a minute'),
  QUEUE_MAX_DEPTH: count(5).describe('messages of a user that may wait or run'),
  TASK_TIMEOUT_S: count(120).describe('told to the bridge as `timeoutSeconds`'),
  CALLBACK_TIMEOUT_MS: durationMs(180_000).describe('how long after its ack a bridge may take to answer'),
  THINKING_REMINDER_MS: durationMs(25_000).describe('when a user is told that the answer takes a while'),
  BRIDGE_ACK_TIMEOUT_MS: durationMs(15_000).describe('how long a bridge may take to ack a task'),
  BREAKER_ERROR_PERCENT: count(50, 1, 100).describe('share of failed calls that opens an instance’s circuit'),
  BREAKER_VOLUME: count(5).describe('… of at least so many calls'),
  BREAKER_WINDOW_MS: durationMs(60_000).describe('… within this'),
  BREAKER_RESET_MS: durationMs(30_000).describe('how long a circuit stays open before one task is let through'),
});
export type RouterConfig = z.infer<typeof routerSettings>;
