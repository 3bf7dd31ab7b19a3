// npm run check: format, lint and types.
import { join } from 'node:path';
import { root } from '../processes/paths.ts';
import * as progress from '../processes/progress.ts';
import { runCommand } from '../processes/run-command.ts';
import { runTemporarily } from '../processes/temporary-run.ts';

// Both come as JavaScript that starts a native program.
const CHECKS = [
  {
    name: 'lint',
    what: 'format and lint',
    args: ['@biomejs/biome/bin/biome', 'check'],
    remedy: 'npx biome check --write mends most of it',
  },
  { name: 'types', what: 'types', args: ['typescript/bin/tsc', '--noEmit', '-p', 'tsconfig.json'], remedy: undefined },
];

await runTemporarily('check', async (session) => {
  let failed = 0;
  for (const { name, what, args, remedy } of CHECKS) {
    const since = performance.now();
    const [program = '', ...rest] = args;
    const command = [join(root, 'node_modules', program), ...rest];
    const result = await runCommand(session, process.execPath, command, { isShown: true });
    if (result.code === 0) progress.step(name, `${what}: fine ${progress.took(since)}`);
    else {
      failed++;
      progress.fail(name, `${what}: see above`, remedy);
    }
  }
  return failed === 0 ? 0 : 1;
});
