// npm run test:unit: the pure tests alone, for the working loop: no server, no process of ours.
import { JEST } from '../processes/paths.ts';
import { runCommand } from '../processes/run-command.ts';
import { runTemporarily } from '../processes/temporary-run.ts';

const WITH_SERVERS = ['\\.int\\.test\\.', '/test/e2e/', '/test/faults/[^/]+$', '/test/bench/', '/test/server-logs'];

await runTemporarily('unit', async (session) => {
  const ignored = ['/node_modules/', '/\\.local/', ...WITH_SERVERS].map((path) => `--testPathIgnorePatterns=${path}`);
  // More of them run with npm test, and 10,000 of each with npm run test:soak.
  const env = { ...process.env, PROPERTY_RUNS: process.env.PROPERTY_RUNS ?? '100' };
  const args = [...JEST, ...process.argv.slice(2), ...ignored];
  const { code } = await runCommand(session, process.execPath, args, { env, isShown: true });
  return code ?? 1;
});
