// npm start, npm test ─▶ RabbitMQ and MongoDB: given by the environment, in Docker, or as local servers; the first that applies.
import { join } from 'node:path';
import * as progress from '../processes/progress.ts';
import type { Run } from '../processes/run-command.ts';
import { StartError } from '../processes/start-error.ts';
import { IMAGES } from './docker-engine.ts';
import { useGivenServers } from './given-servers.ts';
import type { Infrastructure, InfrastructureOptions } from './infrastructure-options.ts';
import { provideMongod, startMongodb } from './local-mongodb.ts';
import { provideRabbitmq, startRabbitmq } from './local-rabbitmq.ts';

const WAYS = ['env', 'docker', 'local'];
const REMEDY = [
  'Any one of these three will do:',
  '- set RABBITMQ_URL and MONGODB_URI to servers of yours (MongoDB as a replica set);',
  `- start a Docker engine that has, or can pull, the images ${IMAGES.join(' and ')};`,
  '- put rabbitmq-server and mongod on PATH, or run as root on Debian or Ubuntu, where they are installed for you.',
].join('\n');

/** Checks what was asked for, before anything slow happens. */
export function checkInfrastructureSettings(env: NodeJS.ProcessEnv) {
  const way = env.INFRA || undefined;
  if (way !== undefined && !WAYS.includes(way)) {
    throw new StartError(
      'settings',
      `INFRA=${way} is none of ${WAYS.join(', ')}`,
      'Leave INFRA out to take the first way that applies.',
    );
  }
  const missing = ['RABBITMQ_URL', 'MONGODB_URI'].filter((name) => !env[name]);
  if (way === 'env' && missing.length > 0) {
    throw new StartError(
      'settings',
      `INFRA=env, but ${missing.join(' and ')} ${missing.length > 1 ? 'are' : 'is'} not set`,
      REMEDY,
    );
  }
  if (way === undefined && missing.length === 1) {
    const given = missing[0] === 'MONGODB_URI' ? 'RABBITMQ_URL' : 'MONGODB_URI';
    throw new StartError(
      'settings',
      `${given} is set, but ${missing[0]} is not`,
      'Set both, or neither: then both are started for you.',
    );
  }
}

export async function startInfrastructure(options: InfrastructureOptions): Promise<Infrastructure> {
  const { env } = options;
  const forced = env.INFRA || undefined;
  if (forced === 'env' || (!forced && env.RABBITMQ_URL && env.MONGODB_URI)) return useGivenServers(options);

  if (forced !== 'local') {
    const started = await options.startInDocker(options);
    if (typeof started !== 'string') return started;
    if (forced === 'docker') throw new StartError('docker', started, `INFRA=docker was asked for. ${REMEDY}`);
    progress.step('docker', `skipped: ${started}`);
  }
  return startLocally(options);
}

async function startLocally(options: InfrastructureOptions): Promise<Infrastructure> {
  const { run, directory, logs } = options;
  const programs = await provide(run);
  progress.step('servers', 'RabbitMQ and MongoDB: local servers');
  const stops: (() => Promise<void>)[] = [];
  const stop = async () => void (await Promise.all(stops.map((stopOne) => stopOne())));
  try {
    const rabbitmq = await startRabbitmq({
      ...options,
      program: programs.rabbitmq,
      directory: join(directory, 'rabbitmq'),
      logs,
    });
    stops.push(rabbitmq.stop);
    const mongodb = await startMongodb({
      ...options,
      program: programs.mongod,
      directory: join(directory, 'mongodb'),
      logs,
    });
    stops.push(mongodb.stop);
    await Promise.all([rabbitmq.whenReady(), mongodb.whenReady()]);
    return {
      rabbitmqUrl: rabbitmq.url,
      managementUrl: rabbitmq.managementUrl,
      mongodbUri: mongodb.uri,
      way: 'local',
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** One after the other, since both may want apt-get. */
async function provide(run: Run) {
  try {
    return { mongod: await provideMongod(run), rabbitmq: await provideRabbitmq(run) };
  } catch (error) {
    if (error instanceof StartError) throw new StartError(error.stepName, error.message, REMEDY);
    throw error;
  }
}
