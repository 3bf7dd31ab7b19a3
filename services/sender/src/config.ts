// Every setting of the sender.
import { commonSettings, count, durationMs, port, text, url } from '@pipeline/runtime';
import { z } from 'zod';

export const senderSettings = z.object({
  ...commonSettings,
  SENDER_PORT: port(3104),
  IT0_WECOM_CORP_ID: text(),
  /** Secret: gets access tokens. */
  IT0_WECOM_KF_SECRET: text(),
  IT0_WECOM_KF_OPEN_KFID: text(),
  IT0_WECOM_API_URL: url('http:', 'https:').default('https://qyapi.weixin.qq.com'),
  WECOM_TIMEOUT_MS: durationMs(10_000),
  /** WeCom's sends per customer message. */
  SEND_ALLOWANCE: count(5),
  /** Sends that courtesy must leave for answers. */
  SEND_ALLOWANCE_RESERVE: count(3, 0),
  /** How long after a customer's message WeCom lets us send. */
  SEND_WINDOW_MS: durationMs(172_800_000),
});
export type SenderConfig = z.infer<typeof senderSettings>;
