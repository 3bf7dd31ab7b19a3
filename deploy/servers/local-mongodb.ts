// npm start, npm test ─▶ a MongoDB of our own: a replica set of one node (transactions need one), on loopback only.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { createPortPicker } from '../processes/free-port.ts';
import { startProcess } from '../processes/owned-process.ts';
import { answersTcp } from '../processes/probe.ts';
import { openProcessLog } from '../processes/process-log.ts';
import * as progress from '../processes/progress.ts';
import type { Run } from '../processes/run-command.ts';
import type { StartError } from '../processes/start-error.ts';
import { supervise } from '../processes/supervise.ts';
import { findMongod, installMongod } from './install-mongodb.ts';
import { makePrimary } from './make-primary.ts';

const READY_MS = 90_000;
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

/** Finds mongod, or installs it. */
export async function provideMongod(run: Run): Promise<string> {
  return findMongod() ?? (await installMongod(run));
}

export async function startMongodb({
  run,
  program,
  directory,
  logs,
  ports,
  isThrowaway,
  onFatal,
}: {
  run: Run;
  /** as `provideMongod` gave it */
  program: string;
  /** for its data */
  directory: string;
  logs: string;
  ports: ReturnType<typeof createPortPicker>;
  /** nobody needs its data afterwards */
  isThrowaway: boolean;
  onFatal: (error: StartError) => void;
}) {
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
      await makePrimary(port);
      progress.step('mongodb', `ready on 127.0.0.1:${port} ${progress.took(since)}`);
    },
    async stop() {
      await supervised.stop();
      log.close();
    },
  };
}

/** mongod logs JSON of its own kind: `{ s: 'F', msg, attr: { error } }`. */
function mongodsError(line: string) {
  try {
    const { msg, attr } = JSON.parse(line);
    return [msg, attr?.error?.errmsg ?? attr?.error].filter(Boolean).join(': ');
  } catch {
    return line;
  }
}
