// Soak ─▶ the whole system with a proxy at every hop and two replicas of every service.
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { applyTopology } from '@pipeline/broker';
import { type BridgeSimulator, startBridgeSimulator } from '../../simulators/bridge/start-bridge-simulator.ts';
import { startWecomSimulator, type WecomSimulator } from '../../simulators/wecom/start-wecom-simulator.ts';
import { freePorts } from '../../support/pipeline.ts';
import { ADMIN_TOKEN, serviceEnvironment } from '../../support/service-environment.ts';
import type { ServiceName } from '../../support/service-process.ts';
import { startTcpProxy, type TcpProxy } from '../../support/tcp-proxy.ts';
import type { Owner, OwnService } from './owned.ts';
import { answerFor } from './words.ts';

/** How long a bridge has for its answer: short, so that the tests needn't wait long for those that never come. */
export const CALLBACK_TIMEOUT_MS = 30_000;
/** … and for its ack. */
export const BRIDGE_ACK_TIMEOUT_MS = 5_000;
const BRIDGE_RETRY_MS = 60_000;
/** … and how long it waits for a router that is frozen before it asks another one. */
const BRIDGE_TRY_MS = 5_000;
const ALL_TWICE = ['ingest', 'binder', 'router', 'sender'].flatMap((name) => [`${name}-1`, `${name}-2`]);
const CLOCK_STEP = fileURLToPath(new URL('./clock-step.mjs', import.meta.url));

export interface Replica {
  /** `router-1` … */
  label: string;
  name: ServiceName;
  service: OwnService;
}

/** A stretch of network; named `router-1 → rabbitmq`, `bridge → router`, … */
export interface Hop {
  name: string;
  proxy: TcpProxy;
}

export interface Machine {
  wecom: WecomSimulator;
  bridge: BridgeSimulator;
  replicas: Replica[];
  hops: Hop[];
  partitions: number;
  amqpUrl: string;
  managementUrl: string;
  mongoUri: string;
  /** Makes an instance on the simulated bridge. */
  addInstance(id: string): Promise<void>;
  /** A fresh code for an instance; tried again while the binder is away. */
  makeCode(instanceId: string): Promise<string>;
  stop(): Promise<void>;
}

export interface MachineOptions {
  owner: Owner;
  servers: { amqpUrl: string; managementUrl: string; mongoUri: string };
  partitions: number;
  labels?: string[];
}

/** Starts everything and waits until every replica is ready. */
export async function startMachine(options: MachineOptions): Promise<Machine> {
  const { owner, servers, partitions } = options;
  const labels = options.labels ?? ALL_TWICE;
  await applyTopology({ ...servers, partitions });
  const wecom = await startWecomSimulator();
  const bridge = await startBridgeSimulator({
    answer: answerFor,
    readsPrompts: false,
    retryForMs: BRIDGE_RETRY_MS,
    tryMs: BRIDGE_TRY_MS,
  });
  const hops: Hop[] = [];
  const proxied = async (name: string, ...targets: string[]) => {
    const proxy = await startTcpProxy(...targets);
    hops.push({ name, proxy });
    return proxy;
  };

  const ports = await freePorts(labels.length);
  const portsOf = (name: ServiceName) => ports.filter((_, index) => labels[index]?.startsWith(name));
  const toBridge = await proxied('router → bridge', `127.0.0.1:${bridge.port}`);
  const toRouter = await proxied('bridge → router', ...portsOf('router').map((port) => `127.0.0.1:${port}`));
  const replicas: Replica[] = [];
  for (const [index, label] of labels.entries()) {
    const name = label.split('-')[0] as ServiceName;
    const port = ports[index] ?? 0;
    const toRabbitmq = await proxied(`${label} → rabbitmq`, servers.amqpUrl);
    const toMongodb = await proxied(`${label} → mongodb`, servers.mongoUri);
    const usesWecom = name === 'ingest' || name === 'sender';
    const wecomUrl = usesWecom ? (await proxied(`${label} → wecom`, wecom.url)).through(wecom.url) : wecom.url;
    const service = owner.startService({
      name: label,
      main: join('services', name, 'src', 'main.ts'),
      port,
      env: {
        NODE_ENV: 'test',
        NODE_OPTIONS: `--import=${CLOCK_STEP}`,
        [`${name.toUpperCase()}_PORT`]: String(port),
        ...serviceEnvironment({
          servers: { amqpUrl: toRabbitmq.through(servers.amqpUrl), mongoUri: toMongodb.through(servers.mongoUri) },
          wecom: { ...wecom, url: wecomUrl },
          partitions,
          routerUrl: `http://127.0.0.1:${toRouter.port}`,
        }),
        // Short, so that what goes wrong is soon tried again.
        POLL_INTERVAL_ACTIVE_MS: '400',
        POLL_INTERVAL_IDLE_MS: '400',
        POLL_INTERVAL_ERROR_MS: '300',
        POLL_INTERVAL_ERROR_MAX_MS: '1000',
        WECOM_TIMEOUT_MS: '3000',
        BRIDGE_ACK_TIMEOUT_MS: String(BRIDGE_ACK_TIMEOUT_MS),
        CALLBACK_TIMEOUT_MS: String(CALLBACK_TIMEOUT_MS),
      },
    });
    replicas.push({ label, name, service });
  }
  await Promise.all(replicas.map(({ service }) => service.whenReady()));

  const binderPort = portsOf('binder')[0];
  const api = async (method: string, path: string, body?: unknown): Promise<{ status: number; body: unknown }> => {
    for (;;) {
      try {
        const response = await fetch(`http://127.0.0.1:${binderPort}/api/v1/agent${path}`, {
          method,
          headers: { authorization: `Bearer ${ADMIN_TOKEN}`, 'content-type': 'application/json' },
          body: body === undefined ? null : JSON.stringify(body),
          signal: AbortSignal.timeout(5_000),
        });
        if (response.status < 500) return { status: response.status, body: await response.json() };
      } catch {
        // It was killed, or its database was: it comes back.
      }
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  };

  return {
    ...servers,
    wecom,
    bridge,
    replicas,
    hops,
    partitions,
    async addInstance(id) {
      const instance = { id, name: `虾${id}`, status: 'running', serverHost: '127.0.0.1', hostPort: toBridge.port };
      const { status } = await api('POST', '/instances', instance);
      // 409: the answer to an earlier try was lost.
      if (status !== 201 && status !== 409) throw new Error(`instance ${id}: ${status}`);
    },
    async makeCode(instanceId) {
      const { status, body } = await api('POST', `/channels/wecom/bind/${instanceId}`);
      if (status !== 201) throw new Error(`code for ${instanceId}: ${status}`);
      return (body as { code: string }).code;
    },
    async stop() {
      await Promise.all(replicas.map(({ service }) => service.stop()));
      await Promise.all(hops.map(({ proxy }) => proxy.close()));
      await wecom.close();
      await bridge.close();
    },
  };
}
