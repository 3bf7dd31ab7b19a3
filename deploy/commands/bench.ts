// npm run bench: the benchmark, on servers of its own.
import { join } from 'node:path';
import { readOptions } from '../../test/bench/options.ts';
import { root } from '../processes/paths.ts';
import { runCommand } from '../processes/run-command.ts';
import { refuse } from '../processes/session.ts';
import { runOnThrowawayServers } from '../servers/throwaway-servers.ts';

const args = process.argv.slice(2);
try {
  readOptions(args);
} catch (error) {
  refuse((error as Error).message);
}
await runOnThrowawayServers('bench', process.env, async (session, env) => {
  const program = join(root, 'test', 'bench', 'main.ts');
  const { code } = await runCommand(session, process.execPath, [program, ...args], { env, isShown: true });
  return code ?? 1;
});
