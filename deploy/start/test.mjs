// npm test: everything from a fresh clone, then all tests on a real RabbitMQ and MongoDB; `-- <arguments>` go to jest.
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { endAbandonedRuns } from './abandoned-runs.mjs';
import { createPortPicker } from './free-port.mjs';
import { checkInfrastructureSettings, startInfrastructure } from './infrastructure.mjs';
import { installDependencies } from './install-dependencies.mjs';
import { compileCache, local, node26, root, scripts } from './paths.mjs';
import * as progress from './progress.mjs';
import { runCommand } from './run-command.mjs';
import { runSession } from './session.mjs';
import { startInTestcontainers } from './testcontainers.mjs';

// Each run has servers of its own: beside a running npm start, and beside another npm test.
const directory = join(local, 'test', String(process.pid));

await runSession({ recordsDirectory: join(directory, 'run'), codeOnSignal: 130 }, async (session) => {
  checkInfrastructureSettings(process.env);
  await endAbandonedRuns(join(local, 'test'));
  session.onStop(() => rmSync(directory, { recursive: true, force: true }));
  await installDependencies(session);
  const infrastructure = await startInfrastructure({
    run: session,
    env: process.env,
    directory,
    logs: join(directory, 'logs'),
    ports: createPortPicker(),
    isThrowaway: true,
    onFatal: session.fatal,
    startInDocker: startInTestcontainers,
  });
  session.onStop(infrastructure.stop);
  return runJest(session, {
    ...process.env,
    NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE || compileCache, // for the services that tests start
    RABBITMQ_URL: infrastructure.rabbitmqUrl,
    RABBITMQ_MANAGEMENT_URL: infrastructure.managementUrl,
    MONGODB_URI: infrastructure.mongodbUri,
  });
});

/** @param {import('./session.mjs').Session} session @param {NodeJS.ProcessEnv} env */
async function runJest(session, env) {
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
