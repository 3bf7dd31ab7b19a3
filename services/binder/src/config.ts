// The binder's settings.
import { bridgeNetworks, commonSettings, durationMs, port, text } from '@pipeline/runtime';
import { z } from 'zod';

export const binderSettings = z.object({
  ...commonSettings,
  BINDER_PORT: port(3102),
  /** Secret: whoever has it manages instances and codes. */
  ADMIN_API_TOKEN: text(),
  /** The link to the KF account, shown with every code. */
  IT0_WECOM_KF_URL: z.string().default(''),
  /** How long a code can be used. */
  CODE_TTL_MS: durationMs(900_000),
  /** CIDRs in which literal bridge addresses must lie; empty: anywhere but the refused ranges. */
  BRIDGE_ALLOWED_NETWORKS: bridgeNetworks(),
});

export type BinderConfig = z.infer<typeof binderSettings>;
