// Every setting of the router.
import { bridgeNetworks, commonSettings, count, durationMs, port, url } from '@pipeline/runtime';
import { z } from 'zod';

const MIN_KEY_LENGTH = 32;

export const routerSettings = z.object({
  ...commonSettings,
  ROUTER_PORT: port(3103),
  /** Base of the callback URL that bridges get. */
  AGENT_SERVICE_PUBLIC_URL: url('http:', 'https:').transform((base) => base.replace(/\/+$/, '')),
  /** Comma-separated; the first signs, all verify. */
  CALLBACK_SIGNING_KEYS: z
    .string()
    .transform((keys) => keys.split(',').map((key) => key.trim()))
    .refine(
      (keys) => keys.every((key) => key.length >= MIN_KEY_LENGTH),
      `every key must have ${MIN_KEY_LENGTH} characters or more`,
    ),
  /** CIDRs that every bridge address must lie in, checked after DNS. */
  BRIDGE_ALLOWED_NETWORKS: bridgeNetworks(),
  RATE_LIMIT_PER_MINUTE: count(10),
  QUEUE_MAX_DEPTH: count(5),
  /** Told to the bridge, seconds. */
  TASK_TIMEOUT_S: count(120),
  CALLBACK_TIMEOUT_MS: durationMs(180_000),
  THINKING_REMINDER_MS: durationMs(25_000),
  BRIDGE_ACK_TIMEOUT_MS: durationMs(15_000),
  BREAKER_ERROR_PERCENT: count(50, 1, 100),
  BREAKER_VOLUME: count(5),
  BREAKER_WINDOW_MS: durationMs(60_000),
  BREAKER_RESET_MS: durationMs(30_000),
});
export type RouterConfig = z.infer<typeof routerSettings>;
