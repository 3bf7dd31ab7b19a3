// Bench: the whole system as processes between two simulators, on a vhost and a database of its own.
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { userKeyOf } from '@pipeline/contracts';
import mongoose from 'mongoose';
import { NODE_OPTIONS } from '../../deploy/commands/start-settings.ts';
import { freePorts } from '../support/pipeline.ts';
import { createTestServersWithTopology, type TestServers } from '../support/servers.ts';
import { serviceEnvironment } from '../support/service-environment.ts';
import { type ServiceName, type ServiceProcess, serviceProcess } from '../support/service-process.ts';
import { type Child, startChild } from './child.ts';
import type { Database } from './database.ts';
import { type Cost, costOf, familyOf } from './process-cost.ts';
import { findServers, type ServerProcesses } from './server-processes.ts';
import type { BridgeCommand, CustomerCommand } from './turns.ts';

const PARTITIONS = 24;
/** Ports of the bridge; instances spread over them, as a router talks to many bridges. */
const BRIDGE_PORTS = 16;
const INSERTED_AT_ONCE = 10_000;
const HOUR_MS = '3600000';
const DOORBELL = {
  token: randomBytes(12).toString('hex'),
  encodingAesKey: randomBytes(32).toString('base64').slice(0, 43),
};

export interface Stage {
  servers: TestServers;
  database: Database;
  wecom: Child<CustomerCommand>;
  bridge: Child<BridgeCommand>;
  /** By name, in order of their start. */
  running: ReadonlyMap<ServiceName, ServiceProcess[]>;
  serverProcesses: ServerProcesses;
  /** Binds so many users more, each to an instance of their own; written straight into the database. */
  bindUsers(count: number, prefix: string): Promise<string[]>;
  /** Starts another replica and waits until it is ready. */
  start(name: ServiceName, env?: Record<string, string>): Promise<ServiceProcess>;
  /** Starts ingest, and has WeCom ring at it or not. */
  startIngest(trigger: 'doorbell' | 'polling'): Promise<void>;
  stop(...names: ServiceName[]): Promise<void>;
  /** CPU and memory by process name, all replicas of a service together. Nothing where /proc doesn't tell. */
  costs(): Map<string, Cost>;
  close(): Promise<void>;
}

/**
 * @param profileTo folder for CPU profiles of a process, one file for each, written when it stops
 * @param logs where services write what they log
 */
export async function openStage(
  profileTo: (name: ServiceName | 'wecom' | 'bridge') => string | undefined,
  logs: string,
): Promise<Stage> {
  const servers = await createTestServersWithTopology(PARTITIONS);
  const client = await mongoose.mongo.MongoClient.connect(servers.mongoUri);
  const database = client.db();
  const profiling = (name: ServiceName | 'wecom' | 'bridge', options = ''): Record<string, string> => {
    const folder = profileTo(name);
    return folder ? { NODE_OPTIONS: `${options} --cpu-prof --cpu-prof-dir=${join(folder, name)}` } : {};
  };
  const wecom = await startChild<CustomerCommand>('./wecom-process.ts', profiling('wecom'));
  const bridge = await startChild<BridgeCommand>('./bridge-process.ts', profiling('bridge'));
  const bridgePorts = [Number(new URL(bridge.hello.url).port)];
  while (bridgePorts.length < BRIDGE_PORTS)
    bridgePorts.push((await control<{ port: number }>(bridge, 'POST', '/listeners', { port: 0 })).port);
  const serverProcesses = await findServers(servers, database);
  const [routerPort = 0] = await freePorts(1);
  const { corpId = '', secret = '', openKfId = '' } = wecom.hello.ids ?? {};
  const environment = {
    ...serviceEnvironment({
      servers,
      wecom: { url: wecom.hello.url, corpId, secret, openKfId },
      partitions: PARTITIONS,
      routerUrl: `http://127.0.0.1:${routerPort}`,
    }),
    NODE_OPTIONS,
    // Limits on a single user, who here writes more than any person could; the rest is as it comes.
    RATE_LIMIT_PER_MINUTE: '100000',
    QUEUE_MAX_DEPTH: '1000',
    THINKING_REMINDER_MS: HOUR_MS,
    CALLBACK_TIMEOUT_MS: HOUR_MS,
    BRIDGE_ACK_TIMEOUT_MS: '60000',
    // WeCom's own limits are below what is to be measured.
    WECOM_QUOTA_PER_MINUTE: '1000000',
    WECOM_QUOTA_PER_HOUR: '10000000',
  };
  const running = new Map<ServiceName, ServiceProcess[]>();

  const stage: Stage = {
    servers,
    database,
    wecom,
    bridge,
    running,
    serverProcesses,
    async bindUsers(count, prefix) {
      const users = Array.from({ length: count }, (_, index) => `${prefix}${String(index).padStart(7, '0')}`);
      for (let from = 0; from < count; from += INSERTED_AT_ONCE) {
        const some = users.slice(from, from + INSERTED_AT_ONCE);
        const options = { ordered: false, writeConcern: { w: 1 } } as const;
        const hostPort = (index: number) => bridgePorts[index % bridgePorts.length] ?? 0;
        await Promise.all([
          database.collection<{ _id: string }>('instances').insertMany(
            some.map((user, index) => {
              const fields = { name: '阿虾', status: 'running', serverHost: '127.0.0.1', hostPort: hostPort(index) };
              return { _id: `instance-${user}`, ...fields };
            }),
            options,
          ),
          database.collection<{ _id: string }>('bindings').insertMany(
            some.map((externalUserId) => ({
              _id: userKeyOf({ openKfId, externalUserId }),
              instanceId: `instance-${externalUserId}`,
              externalUserId,
              boundAt: Date.now(),
            })),
            options,
          ),
        ]);
      }
      return users;
    },
    async start(name, env = {}) {
      const replicas = running.get(name) ?? [];
      running.set(name, replicas);
      const isFirstRouter = name === 'router' && replicas.length === 0;
      const port = isFirstRouter ? routerPort : ((await freePorts(1))[0] ?? 0);
      // Not through a pipe: reading it would cost this process what no production pays.
      const logTo = join(logs, `${name}-${port}.log`);
      const service = serviceProcess(name, port, { ...environment, ...profiling(name, NODE_OPTIONS), ...env }, logTo);
      replicas.push(service);
      await service.start();
      await service.ready();
      return service;
    },
    async startIngest(trigger) {
      await stage.stop('ingest');
      const { token, encodingAesKey } = DOORBELL;
      const keys = { IT0_WECOM_CALLBACK_TOKEN: token, IT0_WECOM_CALLBACK_AES_KEY: encodingAesKey };
      // As it polls while messages arrive: the run is too short for the longer wait before the first ones.
      const polling = { POLL_INTERVAL_IDLE_MS: '2000' };
      const ingest = await stage.start('ingest', trigger === 'doorbell' ? keys : polling);
      if (trigger === 'polling') await control(wecom, 'DELETE', '/callback');
      else await control(wecom, 'PUT', '/callback', { ...DOORBELL, url: `${ingest.url}/wecom/callback` });
    },
    async stop(...names) {
      const stopped = names.flatMap((name) => running.get(name) ?? []);
      for (const name of names) running.delete(name);
      await Promise.all(stopped.map((service) => service.stop()));
    },
    costs() {
      const all: [string, number[]][] = [...running].map(([name, services]) => [
        name,
        services.map(({ pid }) => pid()),
      ]);
      const { rabbitmq, mongodb } = serverProcesses;
      if (rabbitmq !== null) all.push(['RabbitMQ', familyOf(rabbitmq)]);
      if (mongodb !== null) all.push(['MongoDB', familyOf(mongodb)]);
      all.push(['WeCom simulator', [wecom.pid]], ['bridge simulator', [bridge.pid]], ['benchmark', [process.pid]]);
      return new Map(
        all.flatMap(([name, pids]) => {
          const costs = pids.map(costOf).filter((cost) => cost !== null);
          if (costs.length === 0) return [];
          const sum = (key: keyof Cost) => costs.reduce((total, cost) => total + cost[key], 0);
          return [[name, { cpuMs: sum('cpuMs'), rssMib: sum('rssMib') }]];
        }),
      );
    },
    async close() {
      await stage.stop(...running.keys());
      await Promise.all([wecom.stop(), bridge.stop()]);
      await database.dropDatabase();
      await client.close();
      await servers.drop();
    },
  };
  return stage;
}

/** A simulator's own control API. */
export async function control<T>(child: Child<never>, method: string, path: string, body?: unknown): Promise<T> {
  const response = await fetch(`${child.hello.url}/control${path}`, {
    method,
    headers: { 'content-type': 'application/json' },
    body: body === undefined ? null : JSON.stringify(body),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
  return JSON.parse(text) as T;
}

/** send_msg calls that WeCom has accepted since it was last reset. */
export async function sentCount({ wecom }: Stage): Promise<number> {
  return (await control<{ sent: number }>(wecom, 'GET', '/state')).sent;
}
