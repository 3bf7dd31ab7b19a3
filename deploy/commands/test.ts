// npm test: everything from a fresh clone, then all tests on a real RabbitMQ and MongoDB; `-- <arguments>` go to jest.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { JEST, root } from '../processes/paths.ts';
import * as progress from '../processes/progress.ts';
import { runCommand } from '../processes/run-command.ts';
import type { Session } from '../processes/session.ts';
import { provideBrowser } from '../servers/browser.ts';
import { runOnThrowawayServers } from '../servers/throwaway-servers.ts';

await runOnThrowawayServers('test', process.env, runJest);

async function runJest(session: Session, env: NodeJS.ProcessEnv, directory: string) {
  const given = process.argv.slice(2);
  const counts = join(directory, 'counts.json');
  // A reporter given by hand replaces the configured ones, so the usual one must be named beside ours.
  const reporters = given.some((arg) => arg.startsWith('--reporters')) ? [] : ['--reporters=default'];
  const args = [
    ...JEST,
    ...given,
    ...reporters, // last, as the option takes every word that follows
    `--reporters=${join(root, 'deploy', 'commands', 'count-reporter.ts')}`,
  ];
  // Of a few files that somebody names none needs a browser, unless it is there.
  const browser = await provideBrowser(session, env, given.length === 0);
  const stdin = process.stdin.isTTY ? 'inherit' : 'ignore';
  progress.step('test', `jest ${given.join(' ')}`.trimEnd());
  const result = await runCommand(session, process.execPath, args, {
    env: { ...env, TEST_COUNTS_FILE: counts, ...('path' in browser && { CHROMIUM_PATH: browser.path }) },
    stdio: [stdin, 'inherit', 'inherit'],
  });
  const summary = readSummary(counts);
  if (given.length === 0 && 'problem' in browser)
    progress.warn('browser', `THE TESTS IN A BROWSER HAVE NOT RUN: there is no Chromium: ${browser.problem}`);
  if (summary) progress.line(summary);
  return result.code ?? 1;
}

/** `12 passed, 0 failed`, with `, 3 skipped` where there are. Undefined when jest ran no tests (`--listTests`, say). */
function readSummary(file: string) {
  try {
    const { passed, failed, skipped } = JSON.parse(readFileSync(file, 'utf8'));
    return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`;
  } catch {
    return undefined;
  }
}
