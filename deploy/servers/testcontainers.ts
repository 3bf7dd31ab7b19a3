// npm test ─▶ RabbitMQ and MongoDB in Docker, by Testcontainers: a process of its own holds them.
import { createHash } from 'node:crypto';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type OwnedProcess, startProcess } from '../processes/owned-process.ts';
import { root } from '../processes/paths.ts';
import * as progress from '../processes/progress.ts';
import { errorLine, type Run, runCommand, unstoppable } from '../processes/run-command.ts';
import { StopRequested } from '../processes/start-error.ts';
import { findDockerProblem, IMAGES } from './docker-engine.ts';
import type { Infrastructure, InfrastructureOptions } from './infrastructure-options.ts';

const HOLDER = join(root, 'test', 'support', 'testcontainers.ts');
const START_MS = 180_000;
const STOP_GRACE_MS = 5000;
const REMOVE_MS = 30_000;
const MARK = 'containers.started';
const REAPER_IMAGE = 'testcontainers/ryuk:0.14.0';
const REAPER_PULL_MS = 30_000;

/** @returns a string says why not */
export async function startInTestcontainers({
  run,
  env,
  directory,
}: InfrastructureOptions): Promise<Infrastructure | string> {
  const problem = await findDockerProblem(run);
  if (problem) return problem;
  const since = performance.now();
  const bar = progress.bar('docker', 'RabbitMQ and MongoDB: Testcontainers');
  writeFileSync(join(directory, MARK), '');
  const holder = startProcess({
    name: 'testcontainers',
    kind: 'server',
    command: process.execPath,
    args: [HOLDER, ...IMAGES, labelOf(directory)],
    env: { ...env, ...(await reaperSetting(run, env)) },
    records: run.records,
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  const stop = async () => {
    holder.child.stdin?.end(); // it then removes its containers and ends, unless one of them is still starting
    await Promise.race([holder.exited, new Promise((resolve) => setTimeout(resolve, STOP_GRACE_MS).unref())]);
    await holder.stop(0);
    await removeContainers(directory);
  };
  try {
    const urls = await readUrls(run, holder);
    if (typeof urls === 'string') {
      await stop();
      return urls;
    }
    progress.step('docker', `containers ready ${progress.took(since)}`);
    return { ...urls, way: 'docker', stop };
  } catch (error) {
    await stop();
    throw error;
  } finally {
    bar.end();
  }
}

/** Each run's containers carry a label of their own. */
const labelOf = (directory: string) =>
  `wecom-agent-router.test-run.${createHash('sha256').update(directory).digest('hex').slice(0, 12)}`;

/**
 * Removes what is left of a run's containers.
 * @param directory the run's
 */
export async function removeContainers(directory: string) {
  if (!existsSync(join(directory, MARK))) return;
  const run = unstoppable();
  const found = await runCommand(run, 'docker', ['ps', '--all', '--quiet', '--filter', `label=${labelOf(directory)}`], {
    timeoutMs: REMOVE_MS,
  });
  const ids = found.stdout.split('\n').filter(Boolean);
  if (ids.length > 0) await runCommand(run, 'docker', ['rm', '--force', '--volumes', ...ids], { timeoutMs: REMOVE_MS });
}

/**
 * Testcontainers' reaper removes containers after a kill. Where its image can't be had, tests are worth more than that.
 */
async function reaperSetting(run: Run, env: NodeJS.ProcessEnv): Promise<NodeJS.ProcessEnv> {
  if (env.TESTCONTAINERS_RYUK_DISABLED) return {};
  const image = env.RYUK_CONTAINER_IMAGE || REAPER_IMAGE;
  const found = await runCommand(run, 'docker', ['image', 'inspect', image]);
  if (found.code === 0) return { RYUK_CONTAINER_IMAGE: image };
  const pulled = await runCommand(run, 'docker', ['pull', '--quiet', image], { timeoutMs: REAPER_PULL_MS });
  if (pulled.code === 0) return { RYUK_CONTAINER_IMAGE: image };
  progress.step('docker', `without Testcontainers' reaper, since ${image} can't be pulled`);
  return { TESTCONTAINERS_RYUK_DISABLED: 'true' };
}

type Urls = Pick<Infrastructure, 'rabbitmqUrl' | 'managementUrl' | 'mongodbUri'>;

/** The holder's first line; a string says why there was none. */
function readUrls(run: Run, holder: OwnedProcess): Promise<Urls | string> {
  let stdout = '';
  let stderr = '';
  holder.child.stderr?.setEncoding('utf8').on('data', (chunk) => {
    stderr += chunk;
  });
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => resolve(`the containers were not ready within ${START_MS / 1000} s`), START_MS);
    const settle = (value: Urls | string) => {
      clearTimeout(timer);
      resolve(value);
    };
    holder.child.stdout?.setEncoding('utf8').on('data', (chunk) => {
      stdout += chunk;
      const end = stdout.indexOf('\n');
      if (end >= 0) settle(JSON.parse(stdout.slice(0, end)));
    });
    void holder.exited.then(() => settle(errorLine(stderr) || 'Testcontainers ended'));
    run.signal.addEventListener('abort', () => reject(new StopRequested()), { once: true });
  });
}
