// npm run check: format, lint and types; installs what is missing first.
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { endAbandonedRuns } from './abandoned-runs.mjs';
import { installDependencies } from './install-dependencies.mjs';
import { local, node26, root } from './paths.mjs';
import * as progress from './progress.mjs';
import { runCommand } from './run-command.mjs';
import { runSession } from './session.mjs';

// Both come as JavaScript that starts a native program, so the Node that we bring runs them.
const CHECKS = [
  {
    name: 'lint',
    what: 'format and lint',
    args: ['@biomejs/biome/bin/biome', 'check'],
    remedy: 'npx biome check --write mends most of it',
  },
  { name: 'types', what: 'types', args: ['typescript/bin/tsc', '--noEmit', '-p', 'tsconfig.json'], remedy: undefined },
];

const directory = join(local, 'check', String(process.pid));

await runSession({ recordsDirectory: join(directory, 'run'), codeOnSignal: 130 }, async (session) => {
  await endAbandonedRuns(join(local, 'check'));
  session.onStop(() => rmSync(directory, { recursive: true, force: true }));
  await installDependencies(session);
  let failed = 0;
  for (const { name, what, args, remedy } of CHECKS) {
    const since = performance.now();
    const [program, ...rest] = args;
    const result = await runCommand(session, node26, [join(root, 'node_modules', String(program)), ...rest], {
      isShown: true,
    });
    if (result.code === 0) progress.step(name, `${what}: fine ${progress.took(since)}`);
    else {
      failed++;
      progress.fail(name, `${what}: see above`, remedy);
    }
  }
  return failed === 0 ? 0 : 1;
});
