// npm start, npm test ─▶ a MongoDB of our own: a replica set of one node (transactions need one), on loopback only.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { findMongod, installMongod } from './install-mongodb.mjs';
import { startProcess } from './owned-process.mjs';
import { node26, scripts } from './paths.mjs';
import { answersTcp } from './probe.mjs';
import { openProcessLog } from './process-log.mjs';
import * as progress from './progress.mjs';
import { errorLine, runCommand } from './run-command.mjs';
import { StartError } from './start-error.mjs';
import { supervise } from './supervise.mjs';

const READY_MS = 90_000;
const REPLICA_SET_MS = 45_000;
const STOP_GRACE_MS = 15_000;
const PARAMETERS = [
  // A primary waits 15 s for its secondaries when it is told to end; this one has none.
  'shutdownTimeoutMillisForSignaledShutdown=100',
  // Else it keeps what each document was over the last five minutes, for reads of the past that nobody makes here.
  'minSnapshotHistoryWindowInSeconds=0',
];
const CACHE_GB = '0.5'; // mongod takes half of the machine's memory otherwise
/** A slow operation would be logged with what users wrote in it. As in docker-compose.yml. */
export const SILENT_ARGUMENTS = ['--slowOpSampleRate', '0', '--quiet'];
const DATABASE = 'wecom-agent-router';

/** Finds mongod, or installs it. @param {import('./run-command.mjs').Run} run @returns {Promise<string>} */
export async function provideMongod(run) {
  return findMongod() ?? (await installMongod(run));
}

/**
 * @param {object} options
 * @param {import('./run-command.mjs').Run} options.run
 * @param {string} options.program as `provideMongod` gave it
 * @param {string} options.directory for its data
 * @param {string} options.logs
 * @param {ReturnType<typeof import('./free-port.mjs').createPortPicker>} options.ports
 * @param {boolean} options.isThrowaway nobody needs its data afterwards
 * @param {(error: StartError) => void} options.onFatal
 */
export async function startMongodb({ run, program, directory, logs, ports, isThrowaway, onFatal }) {
  const since = performance.now();
  const { port, isReplaced } = await ports.pick('MongoDB', isThrowaway ? undefined : 27_017);
  if (isReplaced) progress.step('mongodb', `port 27017 is taken: MongoDB is on ${port}`);
  const data = join(directory, 'data');
  mkdirSync(data, { recursive: true });
  const log = openProcessLog('mongodb', join(logs, 'mongodb.log'), { isShown: false });
  const options = {
    '--dbpath': data,
    '--port': String(port),
    '--bind_ip': '127.0.0.1',
    '--replSet': 'rs0',
    '--wiredTigerCacheSizeGB': CACHE_GB,
  };
  const supervised = supervise({
    name: 'mongodb',
    launch: async () =>
      startProcess({
        name: 'mongodb',
        kind: 'server',
        command: program,
        args: [
          '--nounixsocket',
          ...SILENT_ARGUMENTS,
          ...Object.entries(options).flat(),
          ...PARAMETERS.flatMap((parameter) => ['--setParameter', parameter]),
        ],
        records: run.records,
        stdio: ['ignore', log.fd, log.fd],
      }),
    probe: () => answersTcp(port),
    stopGraceMs: isThrowaway ? 0 : STOP_GRACE_MS,
    startAttempts: 3,
    lastWords: () => mongodsError(log.lastWords()),
    onFatal,
  });
  return {
    uri: `mongodb://127.0.0.1:${port}/${DATABASE}?replicaSet=rs0&directConnection=true`,
    async whenReady() {
      await supervised.whenReady({ timeoutMs: READY_MS, signal: run.signal });
      await makePrimary(run, port);
      progress.step('mongodb', `ready on 127.0.0.1:${port} ${progress.took(since)}`);
    },
    async stop() {
      await supervised.stop();
      log.close();
    },
  };
}

/**
 * Makes a mongod the primary of a set of one. By a process of its own: the driver wants a newer Node than may run this.
 * @param {import('./run-command.mjs').Run} run @param {number} port @param {string} [member] its name in the set
 */
export async function makePrimary(run, port, member = `127.0.0.1:${port}`) {
  const script = join(scripts, 'make-primary.mjs');
  const result = await runCommand(run, node26, [script, String(port), member], { timeoutMs: REPLICA_SET_MS });
  if (result.code === 0) return;
  const cause = result.isTimedOut ? `no primary within ${REPLICA_SET_MS / 1000} s` : errorLine(result.stderr);
  throw new StartError(
    'mongodb',
    `the replica set could not be set up: ${cause}`,
    'Its log is .local/logs/mongodb.log.',
  );
}

/** mongod logs JSON of its own kind: `{ s: 'F', msg, attr: { error } }`. */
function mongodsError(/** @type {string} */ line) {
  try {
    const { msg, attr } = JSON.parse(line);
    return [msg, attr?.error?.errmsg ?? attr?.error].filter(Boolean).join(': ');
  } catch {
    return line;
  }
}
