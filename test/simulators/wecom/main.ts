// Starts the WeCom simulator as a process of its own, with what the environment says.
import { startWecomSimulator } from './start-wecom-simulator.ts';

const { env } = process;

// Only with both can the chat page make binding codes.
const binder =
  env.BINDER_URL && env.ADMIN_API_TOKEN
    ? {
        url: env.BINDER_URL.replace(/\/$/, ''),
        adminToken: env.ADMIN_API_TOKEN,
        bridgeHost: env.BRIDGE_HOST || '127.0.0.1',
        bridgePort: Number(env.BRIDGE_PORT || env.BRIDGE_SIMULATOR_PORT || 3112),
      }
    : undefined;

const simulator = await startWecomSimulator({
  port: Number(env.WECOM_SIMULATOR_PORT ?? 3111),
  bindAddress: env.BIND_ADDRESS ?? '127.0.0.1',
  corpId: env.IT0_WECOM_CORP_ID || 'ww-demo',
  secret: env.IT0_WECOM_KF_SECRET || 'demo-secret',
  openKfId: env.IT0_WECOM_KF_OPEN_KFID || 'wk-demo',
  ...(binder === undefined ? {} : { binder }),
});
process.stdout.write(`WeCom simulator: ${simulator.url} (chat page, /cgi-bin, /control)\n`);

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    simulator.close().then(() => process.exit(0));
  });
}
