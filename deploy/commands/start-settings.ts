// npm start: which mode the environment asks for, and what the services find in theirs.
import { compileCache } from '../processes/paths.ts';
import { StartError } from '../processes/start-error.ts';
import { checkInfrastructureSettings } from '../servers/infrastructure.ts';

const CREDENTIALS = ['IT0_WECOM_CORP_ID', 'IT0_WECOM_KF_SECRET', 'IT0_WECOM_KF_OPEN_KFID'];
const DEMO_POLL_MS = '200';
/** As in the image: V8's young generation at its default size would make up a third of what an idle service takes. */
export const NODE_OPTIONS = '--max-semi-space-size=4';

export type StartMode = { isDemo: boolean; isOnce: boolean };

export function readStartMode(args: string[], env: NodeJS.ProcessEnv): StartMode {
  const unknown = args.filter((arg) => arg !== '--once');
  if (unknown.length > 0) {
    throw new StartError(
      'settings',
      `unknown argument ${unknown.join(' ')}`,
      'npm start knows one: npm start -- --once',
    );
  }
  checkInfrastructureSettings(env);
  const isOnce = args.includes('--once');
  const set = CREDENTIALS.filter((name) => env[name]);
  if (isOnce || set.length === 0) return { isDemo: true, isOnce };

  const missing = CREDENTIALS.filter((name) => !env[name]);
  if (missing.length > 0) {
    throw new StartError(
      'settings',
      `${set.join(' and ')} ${set.length > 1 ? 'are' : 'is'} set, but ${missing.join(' and ')} ${missing.length > 1 ? 'are' : 'is'} not`,
      'Set all three to serve a WeCom account, or none of them for the demo.',
    );
  }
  return { isDemo: false, isOnce };
}

/** Where this machine reaches what binds to BIND_ADDRESS. */
export const reachableHost = (env: NodeJS.ProcessEnv) =>
  !env.BIND_ADDRESS || ['0.0.0.0', '::'].includes(env.BIND_ADDRESS) ? '127.0.0.1' : env.BIND_ADDRESS;

/** What the services find in their environment, but for the servers that they use. */
export function serviceEnvironment({
  env,
  mode,
  generated,
  ports,
}: {
  env: NodeJS.ProcessEnv;
  mode: StartMode;
  generated: Record<string, string>;
  ports: Record<'ingest' | 'binder' | 'router' | 'sender' | 'wecomSimulator' | 'bridgeSimulator', number>;
}): NodeJS.ProcessEnv {
  const at = (port: number) => `http://${reachableHost(env)}:${port}`;
  const common = {
    ...env,
    NODE_COMPILE_CACHE: env.NODE_COMPILE_CACHE || compileCache,
    NODE_OPTIONS: env.NODE_OPTIONS || NODE_OPTIONS,
    BIND_ADDRESS: env.BIND_ADDRESS || '127.0.0.1',
    INGEST_PORT: String(ports.ingest),
    BINDER_PORT: String(ports.binder),
    ROUTER_PORT: String(ports.router),
    SENDER_PORT: String(ports.sender),
    ADMIN_API_TOKEN: env.ADMIN_API_TOKEN || generated.ADMIN_API_TOKEN,
    CALLBACK_SIGNING_KEYS: env.CALLBACK_SIGNING_KEYS || generated.CALLBACK_SIGNING_KEYS,
  };
  if (!mode.isDemo) return common;

  const simulator = at(ports.wecomSimulator);
  const demo = {
    ...common,
    IT0_WECOM_CORP_ID: 'ww-demo',
    IT0_WECOM_KF_SECRET: generated.DEMO_KF_SECRET,
    IT0_WECOM_KF_OPEN_KFID: 'wk-demo',
    IT0_WECOM_API_URL: simulator,
    IT0_WECOM_KF_URL: `${simulator}/`,
    AGENT_SERVICE_PUBLIC_URL: at(ports.router),
    POLL_INTERVAL_ACTIVE_MS: DEMO_POLL_MS,
    POLL_INTERVAL_IDLE_MS: DEMO_POLL_MS,
    POLL_INTERVAL_ERROR_MS: DEMO_POLL_MS, // ingest may be there before the simulator
    WECOM_SIMULATOR_PORT: String(ports.wecomSimulator),
    BRIDGE_SIMULATOR_PORT: String(ports.bridgeSimulator),
    WECOM_SIMULATOR_URL: simulator,
    BRIDGE_SIMULATOR_URL: at(ports.bridgeSimulator),
    INGEST_URL: at(ports.ingest),
    BINDER_URL: at(ports.binder),
    ROUTER_URL: at(ports.router),
    SENDER_URL: at(ports.sender),
  };
  // They belong to the real account, which --once doesn't touch.
  return { ...demo, IT0_WECOM_CALLBACK_TOKEN: '', IT0_WECOM_CALLBACK_AES_KEY: '' };
}
