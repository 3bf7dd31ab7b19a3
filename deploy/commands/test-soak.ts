// npm run test:soak: hours' worth of faults in minutes, on servers that may be killed; the property tests run first, with
// 10,000 cases each. With INFRA=docker the servers are containers, and aren't killed.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { commands } from '../command-line.mjs';
import { JEST, local, root } from '../processes/paths.ts';
import * as progress from '../processes/progress.ts';
import { runCommand } from '../processes/run-command.ts';
import { refuse, type Session } from '../processes/session.ts';
import { runTemporarily } from '../processes/temporary-run.ts';
import { runOnThrowawayServers } from '../servers/throwaway-servers.ts';

const PROPERTY_RUNS = '10000';
const PROPERTY_TIMEOUT_MS = '900000';

const { values } = parseArgs({ options: commands['test:soak']?.options ?? {} });
const { 'skip-properties': isWithoutProperties, ...numbers } = values;
for (const [name, value] of Object.entries(numbers))
  if (!(Number(value) > 0)) refuse(`--${name}: ${value} is no number`);

if (process.env.INFRA === 'docker')
  await runOnThrowawayServers('soak', process.env, (session, env, directory) =>
    runAll(session, directory, ['--given'], env),
  );
else await runTemporarily('soak', (session, directory) => runAll(session, directory, [], process.env));

/** @param more arguments for the soak */
async function runAll(session: Session, directory: string, more: string[], env: NodeJS.ProcessEnv): Promise<number> {
  const properties = isWithoutProperties ? 0 : await runPropertyTests(session);
  const logs = join(local, 'soak-logs', new Date().toISOString().replaceAll(/[:.]/g, '-'));
  mkdirSync(logs, { recursive: true });
  progress.step('soak', `logs: ${logs}`);
  const given = Object.entries(numbers).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const program = join(root, 'test/faults/soak/main.ts');
  const args = [program, ...given, ...more, '--directory', directory, '--logs', logs];
  const soak = await runCommand(session, process.execPath, args, { env, isShown: true });
  return properties || (soak.code ?? 1);
}

/** Every test file that counts its cases by PROPERTY_RUNS; none of them needs a server. */
async function runPropertyTests(session: Session): Promise<number> {
  progress.step('properties', `${PROPERTY_RUNS} cases each`);
  const grep = await runCommand(session, 'grep', [
    ...['-rl', '--include=*.test.ts', '--exclude-dir=node_modules', 'PROPERTY_RUNS'],
    ...['packages', 'services'],
  ]);
  const files = grep.stdout.split('\n').filter(Boolean);
  const args = [...JEST, `--testTimeout=${PROPERTY_TIMEOUT_MS}`, ...files];
  const env = { ...process.env, PROPERTY_RUNS };
  const { code } = await runCommand(session, process.execPath, args, { env, isShown: true });
  return code ?? 1;
}
