// npm start ─▶ topology, the four services, the demo's simulators and its conversation.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { findFaults } from '@pipeline/runtime';
import { startProcess } from '../processes/owned-process.ts';
import { local, root } from '../processes/paths.ts';
import { probeHttp } from '../processes/probe.ts';
import { openProcessLog } from '../processes/process-log.ts';
import * as progress from '../processes/progress.ts';
import { errorLine, lastLine, runCommand } from '../processes/run-command.ts';
import type { Session } from '../processes/session.ts';
import { StartError } from '../processes/start-error.ts';
import { supervise } from '../processes/supervise.ts';
import { allSettings } from './all-settings.ts';
import { reachableHost } from './start-settings.ts';

const SERVICE_GRACE_MS = 12_000;
const SIMULATOR_GRACE_MS = 3000;
const READY_MS = 60_000;
const START_ATTEMPTS = 6; // about 12 s, by then the backoff is at its longest
const TOPOLOGY_MS = 60_000;
/** Compiles each function at its first call: the first messages after a start are answered some milliseconds sooner. */
const EAGER = '--always-sparkplug';

/** Declares exchanges, queues, bindings and policies; services wait for it. */
export async function applyTopology(session: Session, env: NodeJS.ProcessEnv) {
  const since = performance.now();
  const result = await runCommand(session, process.execPath, ['deploy/topology/main.ts'], {
    env,
    timeoutMs: TOPOLOGY_MS,
  });
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
 * @param env without the servers, which are not there yet
 */
export function checkSettings(env: NodeJS.ProcessEnv): void {
  const servers = { RABBITMQ_URL: 'amqp://127.0.0.1', MONGODB_URI: 'mongodb://127.0.0.1' };
  const judged = Object.values(allSettings).flatMap((settings) => findFaults(settings, { ...env, ...servers }));
  const faults = new Set(judged);
  if (faults.size > 0)
    throw new StartError('settings', [...faults].join('; '), 'docs/settings.md says what each setting is for.');
}

export function startTypeScript(
  session: Session,
  {
    name,
    kind,
    main,
    port,
    probePath,
    env,
  }: {
    name: string;
    kind: 'service' | 'simulator';
    /** path of its main.ts */
    main: string;
    port: number;
    probePath: string;
    env: NodeJS.ProcessEnv;
  },
) {
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
        command: process.execPath,
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
    async whenReady(isTolerable?: (reason: string) => boolean) {
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

/** Plays the scripted conversation through the running system and prints it. */
export async function playDemo(session: Session, env: NodeJS.ProcessEnv) {
  progress.step('demo', 'a scripted conversation, through the real pipeline:');
  progress.line();
  const result = await runCommand(session, process.execPath, ['test/demo/main.ts'], { env, isShown: true });
  progress.line();
  if (result.code === 0) progress.step('demo', 'went as expected');
  else progress.warn('demo', `did not go as expected (exit code ${result.code ?? result.signal})`);
  return result.code === 0;
}
