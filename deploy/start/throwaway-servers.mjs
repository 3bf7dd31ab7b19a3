// npm test, npm run bench: from a fresh clone to a RabbitMQ and a MongoDB of the run's own, removed afterwards.
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { endAbandonedRuns } from './abandoned-runs.mjs';
import { createPortPicker } from './free-port.mjs';
import { checkInfrastructureSettings, startInfrastructure } from './infrastructure.mjs';
import { installDependencies } from './install-dependencies.mjs';
import { compileCache, local } from './paths.mjs';
import { runSession } from './session.mjs';
import { startInTestcontainers } from './testcontainers.mjs';

/**
 * Runs `main` with the servers in its environment and ends the process with its exit code. Each run has servers of its
 * own: beside a running npm start, and beside another run.
 * @param {string} kind `test` or `bench`
 * @param {(session: import('./session.mjs').Session, env: NodeJS.ProcessEnv, directory: string) => Promise<number>} main
 */
export async function runOnThrowawayServers(kind, main) {
  const directory = join(local, kind, String(process.pid));
  await runSession({ recordsDirectory: join(directory, 'run'), codeOnSignal: 130 }, async (session) => {
    checkInfrastructureSettings(process.env);
    await endAbandonedRuns(join(local, kind));
    session.onStop(() => rmSync(directory, { recursive: true, force: true }));
    await installDependencies(session);
    const infrastructure = await startInfrastructure({
      run: session,
      env: process.env,
      directory,
      logs: join(directory, 'logs'),
      ports: createPortPicker(),
      isThrowaway: true,
      onFatal: session.fatal,
      startInDocker: startInTestcontainers,
    });
    session.onStop(infrastructure.stop);
    const env = {
      ...process.env,
      NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE || compileCache, // for the services that are started
      RABBITMQ_URL: infrastructure.rabbitmqUrl,
      RABBITMQ_MANAGEMENT_URL: infrastructure.managementUrl,
      MONGODB_URI: infrastructure.mongodbUri,
    };
    return main(session, env, directory);
  });
}
