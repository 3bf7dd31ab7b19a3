// Ingest's settings.
import { commonSettings, durationMs, port, text, wecomSettings } from '@pipeline/runtime';
import { z } from 'zod';

const CALLBACK = ['IT0_WECOM_CALLBACK_TOKEN', 'IT0_WECOM_CALLBACK_AES_KEY'] as const;
const YEAR_MS = 31_536_000_000;

export const ingestSettings = z
  .object({
    ...commonSettings,
    ...wecomSettings,
    INGEST_PORT: port(3101).describe('port of health, metrics and WeCom’s callback'),
    [CALLBACK[0]]: text()
      .optional()
      .describe('secret: the Token of WeCom’s callback settings; without it polling only'),
    // Its last character may carry spare bits, so it is no strict base64.
    [CALLBACK[1]]: text()
      .regex(/^[A-Za-z0-9+/]{43}$/, 'must be the 43 letters and digits of WeCom’s EncodingAESKey')
      .optional()
      .describe('secret: the EncodingAESKey of WeCom’s callback settings'),
    POLL_INTERVAL_ACTIVE_MS: durationMs(2_000).describe('wait between polls while messages arrive'),
    POLL_INTERVAL_IDLE_MS: durationMs(10_000).describe('wait between polls otherwise'),
    POLL_INTERVAL_DOORBELL_MS: durationMs(30_000).describe('wait between polls once the callback is set up'),
    IDLE_THRESHOLD_MS: durationMs(30_000).describe('how long after the last message polling stays active'),
    POLL_INTERVAL_ERROR_MS: durationMs(10_000).describe('wait after an error of WeCom, doubling with repeated ones'),
    POLL_INTERVAL_ERROR_MAX_MS: durationMs(60_000).describe('… up to this'),
    INGEST_MAX_AGE_MS: durationMs(600_000, 0, YEAR_MS).describe(
      'messages sent longer than this before the first start ever are recorded, not answered',
    ),
  })
  .superRefine((settings, context) => {
    const missing = CALLBACK.filter((name) => settings[name] === undefined);
    const [name] = missing;
    if (missing.length === 1 && name !== undefined)
      context.addIssue({
        code: 'custom',
        path: [name],
        message: `is not set, but ${CALLBACK.find((n) => n !== name)} is`,
      });
  });

export type IngestConfig = z.infer<typeof ingestSettings>;
