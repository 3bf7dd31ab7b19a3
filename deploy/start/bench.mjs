// npm run bench: everything from a fresh clone too, then the benchmark; `-- --help` lists what it can be told.
import { join } from 'node:path';
import { node26, root } from './paths.mjs';
import { runCommand } from './run-command.mjs';
import { runOnThrowawayServers } from './throwaway-servers.mjs';

await runOnThrowawayServers('bench', async (session, env) => {
  const args = [join(root, 'test', 'bench', 'main.ts'), ...process.argv.slice(2)];
  const { code } = await runCommand(session, node26, args, { env, isShown: true });
  return code ?? 1;
});
