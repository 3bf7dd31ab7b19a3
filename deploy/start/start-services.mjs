// npm start ─▶ topology, the four services, the demo's simulators and its conversation.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { startProcess } from './owned-process.mjs';
import { local, node26, root } from './paths.mjs';
import { probeHttp } from './probe.mjs';
import { openProcessLog } from './process-log.mjs';
import * as progress from './progress.mjs';
import { errorLine, lastLine, runCommand } from './run-command.mjs';
import { StartError } from './start-error.mjs';
import { reachableHost } from './start-settings.mjs';
import { supervise } from './supervise.mjs';

const SERVICE_GRACE_MS = 12_000;
const SIMULATOR_GRACE_MS = 3000;
const READY_MS = 60_000;
const START_ATTEMPTS = 6; // about 12 s, by then the backoff is at its longest
const TOPOLOGY_MS = 60_000;
/** Compiles each function at its first call: the first messages after a start are answered some milliseconds sooner. */
const EAGER = '--always-sparkplug';

/** @typedef {import('./session.mjs').Session} Session */

/** Declares exchanges, queues, bindings and policies; services wait for it. @param {Session} session @param {NodeJS.ProcessEnv} env */
export async function applyTopology(session, env) {
  const since = performance.now();
  const result = await runCommand(session, node26, ['deploy/topology/main.ts'], { env, timeoutMs: TOPOLOGY_MS });
  if (result.code !== 0) {
    const cause = result.isTimedOut
      ? `not done within ${TOPOLOGY_MS / 1000} s`
      : errorLine(result.stderr) || lastLine(result.stdout);
    throw new StartError(
      'topology',
      cause || `exit code ${result.code}`,
      'RabbitMQ holds something else under these names, or refuses: see the message.',
    );
  }
  progress.step('topology', `applied ${progress.took(since)}`);
}

/**
 * Lets the services' own rules judge their settings, before anything else is started.
 * @param {Session} session @param {NodeJS.ProcessEnv} env without the servers, which are not there yet
 */
export async function checkSettings(session, env) {
  const servers = { RABBITMQ_URL: 'amqp://127.0.0.1', MONGODB_URI: 'mongodb://127.0.0.1' };
  const result = await runCommand(session, node26, ['deploy/settings/main.ts'], { env: { ...env, ...servers } });
  if (result.code === 0) return;
  throw new StartError(
    'settings',
    lastLine(result.stderr) || `exit code ${result.code}`,
    'docs/settings.md says what each setting is for.',
  );
}

/**
 * @param {Session} session
 * @param {object} options
 * @param {string} options.name
 * @param {'service' | 'simulator'} options.kind
 * @param {string} options.main path of its main.ts
 * @param {number} options.port
 * @param {string} options.probePath
 * @param {NodeJS.ProcessEnv} options.env
 */
export function startTypeScript(session, { name, kind, main, port, probePath, env }) {
  if (!existsSync(join(root, main))) throw new StartError(name, `${main} is missing`);
  const log = openProcessLog(name, join(local, 'logs', `${name}.log`));
  const since = performance.now();
  const supervised = supervise({
    name,
    // Its standard streams are the log file itself: it goes on writing whatever happens to us.
    launch: async () =>
      startProcess({
        name,
        kind,
        command: node26,
        args: kind === 'service' ? [EAGER, main] : [main],
        env,
        records: session.records,
        stdio: ['ignore', log.fd, log.fd],
      }),
    probe: () => probeHttp(`http://${reachableHost(env)}:${port}${probePath}`),
    stopGraceMs: kind === 'service' ? SERVICE_GRACE_MS : SIMULATOR_GRACE_MS,
    lastWords: log.lastWords,
    startAttempts: START_ATTEMPTS,
    onFatal: session.fatal,
  });
  return {
    /** @param {(reason: string) => boolean} [isTolerable] */
    async whenReady(isTolerable) {
      const isReady = await supervised.whenReady({
        timeoutMs: READY_MS,
        signal: session.signal,
        ...(isTolerable && { isTolerable }),
      });
      if (isReady) progress.step(name, `ready on port ${port} ${progress.took(since)}`);
      else progress.warn(name, `not ready, going on: ${supervised.reason()}`);
    },
    async stop() {
      await supervised.stop();
      log.close();
    },
  };
}

/** Plays the scripted conversation through the running system and prints it. @param {Session} session @param {NodeJS.ProcessEnv} env */
export async function playDemo(session, env) {
  progress.step('demo', 'a scripted conversation, through the real pipeline:');
  progress.line();
  const result = await runCommand(session, node26, ['test/demo/main.ts'], { env, isShown: true });
  progress.line();
  if (result.code === 0) progress.step('demo', 'went as expected');
  else progress.warn('demo', `did not go as expected (exit code ${result.code ?? result.signal})`);
  return result.code === 0;
}
