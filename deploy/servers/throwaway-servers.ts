// npm test, npm run bench: a RabbitMQ and a MongoDB of the run's own, removed afterwards.
import { join } from 'node:path';
import { createPortPicker } from '../processes/free-port.ts';
import { compileCache } from '../processes/paths.ts';
import type { Session } from '../processes/session.ts';
import { runTemporarily } from '../processes/temporary-run.ts';
import { checkInfrastructureSettings, startInfrastructure } from './infrastructure.ts';
import { startInTestcontainers } from './testcontainers.ts';

/**
 * Runs `main` with the servers in its environment and ends the process with its exit code. Each run has servers of its
 * own: beside a running npm start, and beside another run.
 */
export function runOnThrowawayServers(
  kind: string,
  env: NodeJS.ProcessEnv,
  main: (session: Session, env: NodeJS.ProcessEnv, directory: string) => Promise<number>,
): Promise<void> {
  return runTemporarily(kind, async (session, directory) => {
    checkInfrastructureSettings(env);
    const infrastructure = await startInfrastructure({
      run: session,
      env,
      directory,
      logs: join(directory, 'logs'),
      ports: createPortPicker(),
      isThrowaway: true,
      onFatal: session.fatal,
      startInDocker: startInTestcontainers,
    });
    session.onStop(infrastructure.stop);
    const servers = {
      NODE_COMPILE_CACHE: env.NODE_COMPILE_CACHE || compileCache, // for the services that are started
      RABBITMQ_URL: infrastructure.rabbitmqUrl,
      RABBITMQ_MANAGEMENT_URL: infrastructure.managementUrl,
      MONGODB_URI: infrastructure.mongodbUri,
    };
    return main(session, { ...env, ...servers }, directory);
  });
}
