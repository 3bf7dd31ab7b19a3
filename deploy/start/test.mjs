// npm test: everything from a fresh clone, then all tests on a real RabbitMQ and MongoDB; `-- <arguments>` go to jest.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { node26, root, scripts } from './paths.mjs';
import * as progress from './progress.mjs';
import { runCommand } from './run-command.mjs';
import { runOnThrowawayServers } from './throwaway-servers.mjs';

await runOnThrowawayServers('test', runJest);

/** @param {import('./session.mjs').Session} session @param {NodeJS.ProcessEnv} env @param {string} directory */
async function runJest(session, env, directory) {
  const given = process.argv.slice(2);
  const counts = join(directory, 'counts.json');
  // A reporter given by hand replaces the configured ones, so the usual one must be named beside ours.
  const reporters = given.some((arg) => arg.startsWith('--reporters')) ? [] : ['--reporters=default'];
  const args = [
    '--experimental-vm-modules', // jest needs it to load ES modules
    '--disable-warning=ExperimentalWarning',
    join(root, 'node_modules', 'jest', 'bin', 'jest.js'),
    ...given,
    ...reporters, // last, as the option takes every word that follows
    `--reporters=${join(scripts, 'count-reporter.mjs')}`,
  ];
  const stdin = process.stdin.isTTY ? 'inherit' : 'ignore';
  progress.step('test', `jest ${given.join(' ')}`.trimEnd());
  const result = await runCommand(session, node26, args, {
    env: { ...env, TEST_COUNTS_FILE: counts },
    stdio: [stdin, 'inherit', 'inherit'],
  });
  const summary = readSummary(counts);
  if (summary) progress.line(summary);
  return result.code ?? 1;
}

/** `12 passed, 0 failed`, with `, 3 skipped` where there are. Undefined when jest ran no tests (`--listTests`, say). */
function readSummary(/** @type {string} */ file) {
  try {
    const { passed, failed, skipped } = JSON.parse(readFileSync(file, 'utf8'));
    return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`;
  } catch {
    return undefined;
  }
}
