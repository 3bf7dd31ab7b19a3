// Soak ─▶ servers and services as processes of its own that are started again when they are killed, as `npm start` does it.
import { appendFileSync, mkdirSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { createPortPicker } from '../../../deploy/start/free-port.mjs';
import { provideMongod, startMongodb } from '../../../deploy/start/local-mongodb.mjs';
import { provideRabbitmq, startRabbitmq } from '../../../deploy/start/local-rabbitmq.mjs';
import { startProcess } from '../../../deploy/start/owned-process.mjs';
import { compileCache, node26 } from '../../../deploy/start/paths.mjs';
import { answersTcp, probeHttp, speaksAmqp } from '../../../deploy/start/probe.mjs';
import { createRecords } from '../../../deploy/start/process-records.mjs';
import { supervise } from '../../../deploy/start/supervise.mjs';

const READY_MS = 60_000;
const SERVICE_GRACE_MS = 12_000;

/** @type {import('./owned.d.mts').createOwner} */
export function createOwner(directory, logs) {
  mkdirSync(logs, { recursive: true });
  const records = createRecords(join(directory, 'run'));
  const stopping = new AbortController();
  const run = { records, signal: stopping.signal };
  /** @type {(() => Promise<void>)[]} */
  const stops = [];
  const note = (/** @type {string} */ name, /** @type {string} */ text) =>
    appendFileSync(join(logs, 'supervisor.log'), `${new Date().toISOString()} ${name} ${text}\n`);
  const report = { warn: note, step: note };
  const fatal = (/** @type {Error} */ error) => {
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
      /** @type {import('../../../deploy/start/owned-process.mjs').OwnedProcess | undefined} */
      let current;
      let startedAt = 0;
      const supervised = supervise({
        name,
        launch: async () => {
          startedAt = performance.now();
          current = startProcess({
            name,
            kind: 'service',
            command: node26,
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
