// npm run test:soak: everything from a fresh clone too, then hours' worth of faults in minutes, on servers that may be killed.
// `-- --minutes N --seed S`; the property tests run first, with 10,000 cases each (`--skip-properties` leaves them out).
// With INFRA=docker the servers are containers, and aren't killed.
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { endAbandonedRuns } from './abandoned-runs.mjs';
import { installDependencies } from './install-dependencies.mjs';
import { local, node26, root } from './paths.mjs';
import * as progress from './progress.mjs';
import { runCommand } from './run-command.mjs';
import { runSession } from './session.mjs';
import { runOnThrowawayServers } from './throwaway-servers.mjs';

const PROPERTY_RUNS = '10000';
const PROPERTY_TIMEOUT_MS = '900000';
const SKIP = '--skip-properties';

const given = process.argv.slice(2);
const logs = join(local, 'soak-logs', new Date().toISOString().replaceAll(/[:.]/g, '-'));

if (process.env.INFRA === 'docker')
  await runOnThrowawayServers('soak', (session, env, directory) => runAll(session, directory, ['--given'], env));
else {
  const directory = join(local, 'soak', String(process.pid));
  await runSession({ recordsDirectory: join(directory, 'run'), codeOnSignal: 130 }, async (session) => {
    await endAbandonedRuns(join(local, 'soak'));
    session.onStop(() => rmSync(directory, { recursive: true, force: true }));
    await installDependencies(session);
    return runAll(session, directory, [], process.env);
  });
}

/**
 * @param {import('./session.mjs').Session} session @param {string} directory
 * @param {string[]} more arguments for the soak @param {NodeJS.ProcessEnv} env
 */
async function runAll(session, directory, more, env) {
  const properties = given.includes(SKIP) ? 0 : await runPropertyTests(session);
  mkdirSync(logs, { recursive: true });
  progress.step('soak', `logs: ${logs}`);
  const args = [...given.filter((arg) => arg !== SKIP), ...more, '--directory', directory, '--logs', logs];
  const soak = await runCommand(session, node26, [join(root, 'test/faults/soak/main.ts'), ...args], {
    env,
    isShown: true,
  });
  return properties || (soak.code ?? 1);
}

/** Every test file that counts its cases by PROPERTY_RUNS; none of them needs a server. @param {import('./session.mjs').Session} session */
async function runPropertyTests(session) {
  progress.step('properties', `${PROPERTY_RUNS} cases each`);
  const grep = await runCommand(session, 'grep', [
    ...['-rl', '--include=*.test.ts', '--exclude-dir=node_modules', 'PROPERTY_RUNS'],
    ...['packages', 'services'],
  ]);
  const jest = [
    ...['--experimental-vm-modules', '--disable-warning=ExperimentalWarning'],
    join(root, 'node_modules', 'jest', 'bin', 'jest.js'),
    `--testTimeout=${PROPERTY_TIMEOUT_MS}`,
    ...grep.stdout.split('\n').filter(Boolean),
  ];
  const env = { ...process.env, PROPERTY_RUNS };
  const { code } = await runCommand(session, node26, jest, { env, isShown: true });
  return code ?? 1;
}
