// Ingest's settings.
import { commonSettings, durationMs, port, text, url } from '@pipeline/runtime';
import { z } from 'zod';

export const ingestSettings = z.object({
  ...commonSettings,
  INGEST_PORT: port(3101),
  IT0_WECOM_CORP_ID: text(),
  /** Secret: WeCom gives access tokens for it. */
  IT0_WECOM_KF_SECRET: text(),
  /** The KF account to read. */
  IT0_WECOM_KF_OPEN_KFID: text(),
  IT0_WECOM_API_URL: url('http:', 'https:').default('https://qyapi.weixin.qq.com'),
  WECOM_TIMEOUT_MS: durationMs(10_000),
  POLL_INTERVAL_ACTIVE_MS: durationMs(2_000),
  POLL_INTERVAL_IDLE_MS: durationMs(10_000),
  /** For how long after the last message polling stays active. */
  IDLE_THRESHOLD_MS: durationMs(30_000),
  /** After an error of WeCom, doubling to the maximum. */
  POLL_INTERVAL_ERROR_MS: durationMs(10_000),
  POLL_INTERVAL_ERROR_MAX_MS: durationMs(60_000),
  /** Messages sent longer than this before the first start ever are recorded, not answered. */
  INGEST_MAX_AGE_MS: durationMs(600_000, 0),
});

export type IngestConfig = z.infer<typeof ingestSettings>;
