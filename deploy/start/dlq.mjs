// npm run dlq: the dead letters of the system that runs here, or of RABBITMQ_URL and MONGODB_URI; see docs/operations.md.
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { endAbandonedRuns } from './abandoned-runs.mjs';
import { installDependencies } from './install-dependencies.mjs';
import { compileCache, local, node26, root } from './paths.mjs';
import { runCommand } from './run-command.mjs';
import { findRunningServers } from './running-servers.mjs';
import { runSession } from './session.mjs';
import { StartError } from './start-error.mjs';

const { env } = process;
const directory = join(local, 'dlq', String(process.pid));

await runSession({ recordsDirectory: join(directory, 'run'), codeOnSignal: 130 }, async (session) => {
  await endAbandonedRuns(join(local, 'dlq'));
  session.onStop(() => rmSync(directory, { recursive: true, force: true }));
  const isGiven = env.RABBITMQ_URL && env.MONGODB_URI;
  const servers = isGiven ? {} : findRunningServers();
  if (!servers)
    throw new StartError(
      'dlq',
      'nothing is running here',
      'Run "npm start" first; for a system elsewhere, set RABBITMQ_URL and MONGODB_URI to its servers.',
    );
  await installDependencies(session);
  const args = [join(root, 'deploy', 'dlq', 'main.ts'), ...process.argv.slice(2)];
  const result = await runCommand(session, node26, args, {
    env: { NODE_COMPILE_CACHE: compileCache, ...env, ...servers },
    isShown: true,
  });
  return result.code ?? 1;
});
