// WeCom's API for a service that calls it: one client, the quota that all replicas share, and what is shown of it.
import { waitAtMost } from '@pipeline/runtime';
import { type CallQuota, createCallQuota, createWecomClient, type WecomClient } from '@pipeline/wecom';
import type { OpenedParts, ServiceParts } from './create-service.ts';

const CLOSE_MS = 1_000;

export interface WecomConfig {
  IT0_WECOM_CORP_ID: string;
  IT0_WECOM_KF_SECRET: string;
  IT0_WECOM_API_URL: string;
  WECOM_QUOTA_PER_MINUTE: number;
  WECOM_QUOTA_PER_HOUR: number;
  WECOM_TIMEOUT_MS: number;
}

/** Shows in `/readyz` and `/metrics` which APIs rest because their quota is spent. @returns opens the client */
export function prepareWecom(
  config: WecomConfig,
  { health, metrics, logger }: Pick<ServiceParts, 'health' | 'metrics' | 'logger'>,
): (parts: Pick<OpenedParts, 'store' | 'opened'>) => WecomClient {
  let quota: CallQuota | null = null;
  const resting = () => quota?.resting() ?? {};
  health.addDetail('restingApis', resting);
  metrics.gaugeOf('wecom_apis_resting', 'APIs whose quota is spent', () => Object.keys(resting()).length);

  return ({ store, opened }) => {
    const app = { corpId: config.IT0_WECOM_CORP_ID, secret: config.IT0_WECOM_KF_SECRET };
    quota = createCallQuota({
      store: store.callQuotas.of(app.corpId),
      limits: { perMinute: config.WECOM_QUOTA_PER_MINUTE, perHour: config.WECOM_QUOTA_PER_HOUR },
      now: store.now,
      logger,
    });
    const client = createWecomClient({
      ...app,
      apiUrl: config.IT0_WECOM_API_URL,
      timeoutMs: config.WECOM_TIMEOUT_MS,
      tokenStore: store.accessTokens.of(app),
      clock: store.now,
      quota,
    });
    // It waits for the calls under way, which may take longer than a stop may.
    opened(() => waitAtMost(CLOSE_MS, client.close()));
    return client;
  };
}
