// The whole pipeline as four processes between two simulators, for end-to-end and fault tests.
import { applyTopology } from '@pipeline/broker';
import { createPortPicker } from '../../deploy/processes/free-port.ts';
import { type BridgeSimulator, startBridgeSimulator } from '../simulators/bridge/start-bridge-simulator.ts';
import type { SettingsPatch } from '../simulators/wecom/platform/settings.ts';
import { startWecomSimulator, type WecomSimulator } from '../simulators/wecom/start-wecom-simulator.ts';
import { eventually } from './eventually.ts';
import { createTestServers, type TestServers } from './servers.ts';
import { ADMIN_TOKEN, serviceEnvironment } from './service-environment.ts';
import { type ServiceName, type ServiceProcess, serviceProcess } from './service-process.ts';

const SERVICE_NAMES: ServiceName[] = ['ingest', 'binder', 'router', 'sender'];

export interface Pipeline {
  servers: TestServers;
  wecom: WecomSimulator;
  bridge: BridgeSimulator;
  services: Record<ServiceName, ServiceProcess>;
  /** Calls the binder's API as an operator. */
  api(method: string, path: string, body?: unknown): Promise<{ status: number; body: never }>;
  /** Registers an instance on the simulated bridge and returns a code for it. */
  addInstance(id: string, fields?: Record<string, unknown>): Promise<string>;
  /** Binds a user through the conversation itself, as a person would. */
  bind(user: string, instanceId?: string): Promise<void>;
  /** A customer writes a text. @returns its msgid */
  say(user: string, content: string): string;
  /** What the user has got so far, in order. */
  heard(user: string): string[];
  /** Waits until the user has got a text that matches. */
  hears(user: string, wanted: string | RegExp, withinMs?: number): Promise<string>;
  stop(): Promise<void>;
}

export interface PipelineOptions {
  env?: Record<string, string>;
  partitions?: number;
  /** What the simulated platform does otherwise than by default. */
  wecomSettings?: SettingsPatch;
  /** Runs before the first service: what stood in the account before its first start ever. */
  prepare?(wecom: WecomSimulator): void;
}

/** Starts everything and waits until all four services are ready. */
export async function startPipeline(options: PipelineOptions = {}): Promise<Pipeline> {
  const partitions = options.partitions ?? 24;
  const servers = await createTestServers();
  const wecom = await startWecomSimulator({ settings: options.wecomSettings ?? {} });
  const bridge = await startBridgeSimulator();
  options.prepare?.(wecom);
  const ports = await freePorts(SERVICE_NAMES.length);
  const portOf = (name: ServiceName) => ports[SERVICE_NAMES.indexOf(name)] ?? 0;
  const environment = {
    ...serviceEnvironment({ servers, wecom, partitions, routerUrl: `http://127.0.0.1:${portOf('router')}` }),
    POLL_INTERVAL_ACTIVE_MS: '50',
    POLL_INTERVAL_IDLE_MS: '50',
    POLL_INTERVAL_ERROR_MS: '200',
    LOG_LEVEL: 'info',
    ...options.env,
  };
  const services = Object.fromEntries(
    SERVICE_NAMES.map((name) => [name, serviceProcess(name, portOf(name), environment)]),
  ) as Record<ServiceName, ServiceProcess>;
  const all = Object.values(services);
  await Promise.all(all.map((service) => service.start()));
  // While they load their modules.
  await applyTopology({ ...servers, partitions });
  await Promise.all(all.map((service) => service.ready()));

  const api: Pipeline['api'] = async (method, path, body) => {
    const response = await fetch(`${services.binder.url}/api/v1/agent${path}`, {
      method,
      headers: { authorization: `Bearer ${ADMIN_TOKEN}`, 'content-type': 'application/json' },
      body: body === undefined ? null : JSON.stringify(body),
    });
    const text = await response.text();
    return { status: response.status, body: (text ? JSON.parse(text) : null) as never };
  };

  const pipeline: Pipeline = {
    servers,
    wecom,
    bridge,
    services,
    api,
    async addInstance(id, fields = {}) {
      const instance = { id, name: `虾 ${id}`, status: 'running', serverHost: bridge.host, hostPort: bridge.port };
      const created = await api('POST', '/instances', { ...instance, ...fields });
      if (created.status !== 201) throw new Error(`instance ${id}: ${JSON.stringify(created)}`);
      const made = await api('POST', `/channels/wecom/bind/${id}`);
      return (made.body as { code: string }).code;
    },
    async bind(user, instanceId = `instance-${user}`) {
      const code = await pipeline.addInstance(instanceId);
      pipeline.say(user, code);
      await pipeline.hears(user, /绑定成功/);
    },
    say(user, content) {
      const { msgid } = wecom.control.sendMessage({ externalUserId: user, content });
      return msgid ?? '';
    },
    heard: (user) => wecom.control.sent({ user }).map(({ content }) => content),
    hears: (user, wanted, withinMs = 10_000) =>
      eventually(
        `${user} hears ${wanted}`,
        () =>
          pipeline.heard(user).find((text) => (typeof wanted === 'string' ? text === wanted : wanted.test(text))) ??
          null,
        { withinMs },
      ),
    async stop() {
      await Promise.all(all.map((service) => service.stop()));
      await wecom.close();
      await bridge.close();
      await servers.drop();
    },
  };
  return pipeline;
}

/** Ports that are free, and that no outgoing connection is given. */
export async function freePorts(count: number): Promise<number[]> {
  const picker = createPortPicker();
  const ports: number[] = [];
  while (ports.length < count) ports.push((await picker.pick('a test')).port);
  return ports;
}
