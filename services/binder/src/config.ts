// The binder's settings.
import { bridgeNetworks, commonSettings, durationMs, port, text } from '@pipeline/runtime';
import { z } from 'zod';

export const binderSettings = z.object({
  ...commonSettings,
  BINDER_PORT: port(3102).describe('port of the operator’s API'),
  ADMIN_API_TOKEN: text().describe('secret: whoever has it manages instances and codes'),
  IT0_WECOM_KF_URL: z.string().default('').describe('link to the KF account, shown with every code'),
  CODE_TTL_MS: durationMs(900_000).describe('how long a binding code can be used'),
  BRIDGE_ALLOWED_NETWORKS: bridgeNetworks(),
});

export type BinderConfig = z.infer<typeof binderSettings>;
