// What every service needs to be told, whatever a test is about: its servers, the simulated WeCom, keys.
import type { WecomSimulator } from '../simulators/wecom/start-wecom-simulator.ts';

export const ADMIN_TOKEN = 'test-admin-token';

/** @param to where the services reach everything, possibly through proxies; `routerUrl` is for bridges that call back */
export function serviceEnvironment(to: {
  servers: { amqpUrl: string; mongoUri: string };
  wecom: Pick<WecomSimulator, 'url' | 'corpId' | 'secret' | 'openKfId'>;
  partitions: number;
  routerUrl?: string;
}): Record<string, string> {
  const { servers, wecom, partitions, routerUrl = 'http://127.0.0.1:1' } = to;
  return {
    RABBITMQ_URL: servers.amqpUrl,
    MONGODB_URI: servers.mongoUri,
    PARTITIONS: String(partitions),
    IT0_WECOM_API_URL: wecom.url.replace(/\/$/, ''),
    IT0_WECOM_CORP_ID: wecom.corpId,
    IT0_WECOM_KF_SECRET: wecom.secret,
    IT0_WECOM_KF_OPEN_KFID: wecom.openKfId,
    ADMIN_API_TOKEN: ADMIN_TOKEN,
    CALLBACK_SIGNING_KEYS: 'test-signing-key-test-signing-key-0123',
    AGENT_SERVICE_PUBLIC_URL: routerUrl,
  };
}
