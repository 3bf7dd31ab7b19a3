// npm start ─▶ RabbitMQ and MongoDB in Docker: two services of docker-compose.yml, published on loopback only.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { local, root } from '../processes/paths.ts';
import * as progress from '../processes/progress.ts';
import { errorLine, type Run, runCommand, unstoppable } from '../processes/run-command.ts';
import { findDockerProblem } from './docker-engine.ts';
import type { Infrastructure, InfrastructureOptions } from './infrastructure-options.ts';
import { makePrimary } from './make-primary.ts';

const FILE = join(root, 'docker-compose.yml');
// Says that containers may be running, so that they are ended after a kill, too.
const MARK = join(local, 'run', 'compose.started');
const OVERRIDE = join(local, 'compose-ports.yml');
const UP_MS = 120_000;
const DOWN_MS = 60_000;
const COMPOSE_MS = 10_000;
const USER = 'wecom';

/** Each clone has its own containers and volumes, apart from those of `docker compose up`. */
const project = `wecom-start-${createHash('sha256').update(root).digest('hex').slice(0, 8)}`;

/** @returns a string says why not */
export async function startInCompose({ run, ports }: InfrastructureOptions): Promise<Infrastructure | string> {
  if (!existsSync(FILE)) return 'there is no docker-compose.yml';
  const problem = await findDockerProblem(run);
  if (problem) return problem;
  const version = await runCommand(run, 'docker', ['compose', 'version'], { timeoutMs: COMPOSE_MS });
  if (version.code !== 0) return 'docker has no compose plugin';

  const since = performance.now();
  const amqp = (await ports.pick('RabbitMQ', 5672)).port;
  const management = (await ports.pick('RabbitMQ management', 15_672)).port;
  const mongodb = (await ports.pick('MongoDB', 27_017)).port;
  writeOverride(amqp, mongodb);
  const env = {
    ...process.env,
    RABBITMQ_MANAGEMENT_PORT: String(management),
    RABBITMQ_USER: USER,
    RABBITMQ_PASSWORD: USER,
  };
  const bar = progress.bar('docker', 'RabbitMQ and MongoDB: containers of docker-compose.yml');
  try {
    const up = await compose(run, ['up', '--detach', '--wait', 'rabbitmq', 'mongodb'], { env, timeoutMs: UP_MS });
    if (up.code !== 0) {
      await down();
      return `docker compose up: ${up.isTimedOut ? `not done within ${UP_MS / 1000} s` : errorLine(up.stderr)}`;
    }
    // A member's name must be one by which the container finds itself.
    await makePrimary(mongodb, 'mongodb:27017');
  } catch (error) {
    await down();
    throw error;
  } finally {
    bar.end();
  }
  progress.step('docker', `RabbitMQ on 127.0.0.1:${amqp}, MongoDB on 127.0.0.1:${mongodb} ${progress.took(since)}`);
  return {
    rabbitmqUrl: `amqp://${USER}:${USER}@127.0.0.1:${amqp}`,
    managementUrl: `http://${USER}:${USER}@127.0.0.1:${management}`,
    mongodbUri: `mongodb://127.0.0.1:${mongodb}/wecom-agent-router?directConnection=true`,
    way: 'docker',
    stop: down,
  };
}

/** Ends the containers that a killed start left; their ports are needed. */
export async function endLeftContainers() {
  if (!existsSync(MARK)) return;
  progress.step('start', 'ending the containers that an earlier, killed run left');
  await down();
}

/** The volumes stay. Not stoppable itself: it is what stopping does. */
async function down() {
  const since = performance.now();
  const result = await compose(unstoppable(), ['down'], { timeoutMs: DOWN_MS });
  if (result.code === 0) rmSync(MARK, { force: true });
  else progress.warn('docker', `docker compose down: ${errorLine(result.stderr)} ${progress.took(since)}`);
}

function compose(run: Run, args: string[], options: { env?: NodeJS.ProcessEnv; timeoutMs: number }) {
  return runCommand(
    run,
    'docker',
    ['compose', '--project-name', project, '--file', FILE, '--file', OVERRIDE, ...args],
    options,
  );
}

/** What `docker compose up` keeps to itself, the services beside Docker need. */
function writeOverride(amqp: number, mongodb: number) {
  mkdirSync(join(local, 'run'), { recursive: true });
  writeFileSync(
    OVERRIDE,
    `services:
  rabbitmq:
    ports: ['127.0.0.1:${amqp}:5672']
  mongodb:
    ports: ['127.0.0.1:${mongodb}:27017']
`,
  );
  writeFileSync(MARK, `${project}\n`);
}
