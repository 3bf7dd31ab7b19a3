// Soak ─▶ servers and services as processes of its own that are started again when they are killed, as `npm start` does it.
import { appendFileSync, mkdirSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { createPortPicker } from '../../../deploy/processes/free-port.ts';
import { type OwnedProcess, startProcess } from '../../../deploy/processes/owned-process.ts';
import { compileCache } from '../../../deploy/processes/paths.ts';
import { answersTcp, probeHttp, speaksAmqp } from '../../../deploy/processes/probe.ts';
import { createRecords } from '../../../deploy/processes/process-records.ts';
import { supervise } from '../../../deploy/processes/supervise.ts';
import { provideMongod, startMongodb } from '../../../deploy/servers/local-mongodb.ts';
import { provideRabbitmq, startRabbitmq } from '../../../deploy/servers/local-rabbitmq.ts';

const READY_MS = 60_000;
const SERVICE_GRACE_MS = 12_000;

export interface OwnServers {
  amqpUrl: string;
  managementUrl: string;
  mongoUri: string;
  /** @throws Error when it fails */
  rabbitmqctl(...args: string[]): Promise<void>;
  /** kill -9; its supervisor starts it again on the same data and ports. @returns false: it wasn't running */
  kill(name: 'rabbitmq' | 'mongodb'): boolean;
  isUp(name: 'rabbitmq' | 'mongodb'): Promise<boolean>;
  stop(): Promise<void>;
}

export interface OwnService {
  name: string;
  port: number;
  /** Undefined while it isn't running. */
  pid(): number | undefined;
  /** Since its last start. */
  ageMs(): number;
  isReady(): boolean;
  whenReady(): Promise<unknown>;
  /** @returns false: it wasn't running */
  signal(signal: NodeJS.Signals): boolean;
  stop(): Promise<void>;
}

export interface Owner {
  startServers(): Promise<OwnServers>;
  startService(options: { name: string; main: string; env: Record<string, string>; port: number }): OwnService;
  /** Ends every service that was started, however the run went. */
  endServices(): Promise<void>;
}

/** @param directory for data and records of processes @param logs where every process writes `<name>.log` */
export function createOwner(directory: string, logs: string): Owner {
  mkdirSync(logs, { recursive: true });
  const records = createRecords(join(directory, 'run'));
  const stopping = new AbortController();
  const run = { records, signal: stopping.signal };
  const stops: (() => Promise<void>)[] = [];
  const note = (name: string, text: string) =>
    appendFileSync(join(logs, 'supervisor.log'), `${new Date().toISOString()} ${name} ${text}\n`);
  const report = { warn: note, step: note };
  const fatal = (error: Error): never => {
    throw error;
  };

  return {
    async startServers() {
      const ports = createPortPicker();
      const common = { run, directory, logs, ports, isThrowaway: true, onFatal: fatal };
      // One after the other, since both may have to be installed.
      const mongod = await provideMongod(run);
      const rabbitmqServer = await provideRabbitmq(run);
      const rabbitmq = await startRabbitmq({
        ...common,
        program: rabbitmqServer,
        directory: join(directory, 'rabbitmq'),
      });
      const mongodb = await startMongodb({ ...common, program: mongod, directory: join(directory, 'mongodb') });
      const stop = async () => void (await Promise.all([rabbitmq.stop(), mongodb.stop()]));
      try {
        await Promise.all([rabbitmq.whenReady(), mongodb.whenReady()]);
      } catch (error) {
        await stop();
        throw error;
      }
      return {
        amqpUrl: rabbitmq.url,
        managementUrl: rabbitmq.managementUrl,
        mongoUri: mongodb.uri,
        async rabbitmqctl(...args) {
          const { code, stderr } = await rabbitmq.ctl(...args);
          if (code !== 0) throw new Error(`rabbitmqctl ${args.join(' ')}: ${stderr.slice(-300)}`);
        },
        kill: (name) => {
          const record = records.list().find((found) => found.name === name);
          if (record) process.kill(record.pid, 'SIGKILL');
          return record !== undefined;
        },
        isUp: async (name) =>
          name === 'rabbitmq'
            ? speaksAmqp(Number(new URL(rabbitmq.url).port))
            : (await answersTcp(Number(new URL(mongodb.uri).port))).isReady,
        stop,
      };
    },

    endServices: async () => void (await Promise.all(stops.map((stop) => stop()))),

    startService({ name, main, env, port }) {
      const fd = openSync(join(logs, `${name}.log`), 'a');
      let current: OwnedProcess | undefined;
      let startedAt = 0;
      const supervised = supervise({
        name,
        launch: async () => {
          startedAt = performance.now();
          current = startProcess({
            name,
            kind: 'service',
            command: process.execPath,
            args: [main],
            env: { PATH: process.env.PATH, NODE_COMPILE_CACHE: compileCache, ...env },
            records,
            stdio: ['ignore', fd, fd],
          });
          return current;
        },
        probe: () => probeHttp(`http://127.0.0.1:${port}/readyz`),
        stopGraceMs: SERVICE_GRACE_MS,
        onFatal: fatal,
        report,
      });
      stops.push(supervised.stop);
      return {
        name,
        port,
        pid: () => (current && !current.hasExited() ? current.pid : undefined),
        ageMs: () => performance.now() - startedAt,
        isReady: supervised.isReady,
        whenReady: () => supervised.whenReady({ timeoutMs: READY_MS, signal: stopping.signal }),
        signal(signal) {
          if (!current || current.hasExited() || current.pid === undefined) return false;
          process.kill(current.pid, signal);
          return true;
        },
        stop: supervised.stop,
      };
    },
  };
}
