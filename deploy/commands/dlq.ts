// npm run dlq: the dead letters of the system that runs here, or of RABBITMQ_URL and MONGODB_URI; see docs/operations.md.
import { join } from 'node:path';
import { compileCache, root } from '../processes/paths.ts';
import { runCommand } from '../processes/run-command.ts';
import { StartError } from '../processes/start-error.ts';
import { runTemporarily } from '../processes/temporary-run.ts';
import { findRunningServers } from '../servers/running-servers.ts';

const { env } = process;

await runTemporarily('dlq', async (session) => {
  const isGiven = env.RABBITMQ_URL && env.MONGODB_URI;
  const servers = isGiven ? {} : findRunningServers();
  if (!servers)
    throw new StartError(
      'dlq',
      'nothing is running here',
      'Run "npm start" first; for a system elsewhere, set RABBITMQ_URL and MONGODB_URI to its servers.',
    );
  const args = [join(root, 'deploy', 'dlq', 'main.ts'), ...process.argv.slice(2)];
  const result = await runCommand(session, process.execPath, args, {
    env: { NODE_COMPILE_CACHE: compileCache, ...env, ...servers },
    isShown: true,
  });
  return result.code ?? 1;
});
