// Every setting of the sender.
import { commonSettings, count, durationMs, port, wecomSettings } from '@pipeline/runtime';
import { z } from 'zod';

export const senderSettings = z.object({
  ...commonSettings,
  ...wecomSettings,
  SENDER_PORT: port(3104).describe('port of health and metrics'),
  SEND_ALLOWANCE: count(5).describe('WeCom’s sends per customer message'),
  SEND_ALLOWANCE_RESERVE: count(3, 0).describe('sends that courtesy leaves for answers'),
  SEND_WINDOW_MS: durationMs(172_800_000).describe('how long after a customer’s message WeCom lets us send'),
});
export type SenderConfig = z.infer<typeof senderSettings>;
