// WeCom simulator: everything about the platform that a test may set, with the default.
import { z } from 'zod';

const HOUR_MS = 3_600_000;
const perMinute = z.number().int().positive().nullable();

/** Steps of send_msg's checks after the token's, in the order they are made. */
export const SEND_CHECKS = ['account', 'shape', 'customer', 'msgid', 'session', 'window', 'allowance'] as const;
export type SendCheck = (typeof SEND_CHECKS)[number];

export const settingsSchema = z.strictObject({
  /** `expires_in` of new access tokens, seconds. */
  tokenExpiresInS: z.number().positive(),
  /** false: gettoken repeats the live token; true: a new one each time, the old ones stay good. */
  newTokenOnRefetch: z.boolean(),
  expiredTokenCode: z.union([z.literal(42001), z.literal(40014)]),
  /** sync_msg calls without a token per minute, then 45009 until the minute ends; null: no limit. */
  tokenlessPerMinute: perMinute,
  /** Calls of one API per minute, then 45009; null: no limit (the platform has 10,000). */
  callsPerMinute: perMinute,
  /** Calls of one API at once, then 45033; null: no limit. */
  maxConcurrentCalls: perMinute,
  syncTokenTtlMs: z.number().positive(),
  retentionMs: z.number().positive(),
  /** sync_msg never puts more items on a page, whatever `limit` says. */
  maxPageItems: z.number().int().min(1).max(1000),
  badCursorCode: z.number().int(),
  allowance: z.number().int().min(0),
  windowMs: z.number().positive(),
  /** What a send outside the window gets; both are documented. */
  windowCode: z.union([z.literal(95002), z.literal(95018)]),
  /** What a send into an ended session gets. */
  endedSessionCode: z.union([z.literal(95018), z.literal(95013)]),
  checkOrder: z.array(z.enum(SEND_CHECKS)),
  /** true: a msgid is used up even when its send is refused. */
  burnMsgidOnRefusal: z.boolean(),
  textBytes: z.number().int().positive(),
  /** What a used or expired code of send_msg_on_event gets; not documented for KF. */
  eventCodeError: z.number().int(),
  eventSendsSpendAllowance: z.boolean(),
});

export type Settings = z.infer<typeof settingsSchema>;

export const settingsPatchSchema = settingsSchema.partial();
export type SettingsPatch = z.infer<typeof settingsPatchSchema>;

export const defaultSettings: Settings = {
  tokenExpiresInS: 7200,
  newTokenOnRefetch: false,
  expiredTokenCode: 42001,
  tokenlessPerMinute: null,
  callsPerMinute: null,
  maxConcurrentCalls: null,
  syncTokenTtlMs: 600_000,
  retentionMs: 72 * HOUR_MS,
  maxPageItems: 1000,
  badCursorCode: 50100,
  allowance: 5,
  windowMs: 48 * HOUR_MS,
  windowCode: 95002,
  endedSessionCode: 95018,
  checkOrder: [...SEND_CHECKS],
  burnMsgidOnRefusal: false,
  textBytes: 2048,
  eventCodeError: 41050,
  eventSendsSpendAllowance: false,
};
