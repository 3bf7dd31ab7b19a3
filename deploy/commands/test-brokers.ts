// npm run test:brokers: the integration and fault tests and a short soak, on each RabbitMQ that can be had here.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import * as progress from '../processes/progress.ts';
import { lastLine, runCommand } from '../processes/run-command.ts';
import { refuse, type Session } from '../processes/session.ts';
import { StartError } from '../processes/start-error.ts';
import { runTemporarily } from '../processes/temporary-run.ts';
import { findDockerProblem } from '../servers/docker-engine.ts';
import { findInstalledServer, installRabbitmq, serverIn } from '../servers/install-rabbitmq.ts';

const IMAGE_VERSIONS = ['3.13', '4.0', '4.1', '4.2', '4.3'];
const TESTS = ['\\.int\\.test\\.', 'test/faults/'];
const SOAK_FAULTS = ['lost', 'repeated', 'reordered', 'overlapping', 'wrong', 'stuck', 'dead-lettered'];
const VERSION_MS = 60_000;
const STOP_GRACE_MS = 30_000; // tests and soak have servers of their own to end

export type Candidate = {
  name: string;
  env: NodeJS.ProcessEnv;
  find: (session: Session) => Promise<{ version: string } | { problem: string }>;
};

const options = readArguments();
await runTemporarily('brokers', (session) => runAll(session, options));

function readArguments() {
  const { values } = parseArgs({
    options: {
      home: { type: 'string', multiple: true, default: [process.env.RABBITMQ_HOME ?? ''].filter(Boolean) },
      only: { type: 'string', multiple: true, default: [] },
      'soak-minutes': { type: 'string', default: '3' },
    },
  });
  const soakMinutes = Number(values['soak-minutes']);
  if (!(soakMinutes >= 0)) refuse(`--soak-minutes: ${values['soak-minutes']} is no number`);
  const candidates = listCandidates(values.home);
  const unknown = values.only.find((name) => !candidates.some((candidate) => candidate.name === name));
  if (unknown) refuse(`--only: there is no ${unknown}, but ${candidates.map(({ name }) => name).join(', ')}`);
  const wanted = candidates.filter(({ name }) => values.only.length === 0 || values.only.includes(name));
  return { candidates: wanted, soakMinutes };
}

function listCandidates(homes: string[]): Candidate[] {
  return [
    { name: 'installed', env: { INFRA: 'local', RABBITMQ_HOME: '' }, find: findInstalled },
    ...homes.map((home) => ({
      name: home,
      env: { INFRA: 'local', RABBITMQ_HOME: home },
      find: (session: Session) => versionOf(session, serverIn(home)),
    })),
    ...IMAGE_VERSIONS.map((version) => {
      const image = `rabbitmq:${version}-management`;
      const find = async (session: Session) => {
        const problem = await findDockerProblem(session, [image]);
        return problem ? { problem } : versionOfImage(session, image, version);
      };
      return { name: version, env: { INFRA: 'docker', RABBITMQ_IMAGE: image }, find };
    }),
  ];
}

async function findInstalled(session: Session) {
  try {
    return await versionOf(session, findInstalledServer() ?? (await installRabbitmq(session)));
  } catch (error) {
    if (error instanceof StartError) return { problem: error.message };
    throw error;
  }
}

/** @param program `rabbitmq-server` */
async function versionOf(session: Session, program: string) {
  if (!existsSync(program)) return { problem: `${program} is not there` };
  const { code, stdout, stderr } = await runCommand(session, join(program, '..', 'rabbitmqctl'), ['version'], {
    timeoutMs: VERSION_MS,
  });
  return code === 0 ? { version: lastLine(stdout) } : { problem: lastLine(stderr) || `rabbitmqctl ended with ${code}` };
}

/** A tag is only a name: what counts is what is in the image. */
async function versionOfImage(session: Session, image: string, release: string) {
  const args = ['run', '--rm', image, 'rabbitmqctl', 'version'];
  const { code, stdout, stderr } = await runCommand(session, 'docker', args, { timeoutMs: VERSION_MS });
  const version = lastLine(stdout);
  if (code !== 0) return { problem: `${image}: ${lastLine(stderr) || `rabbitmqctl ended with ${code}`}` };
  return version.startsWith(`${release}.`)
    ? { version }
    : { problem: `the image ${image} here holds RabbitMQ ${version}` };
}

async function runAll(session: Session, { candidates, soakMinutes }: { candidates: Candidate[]; soakMinutes: number }) {
  const rows = [['RabbitMQ', 'version', 'tests', `soak of ${soakMinutes} min`]];
  let ran = 0;
  let failed = 0;
  for (const { name, env, find } of candidates) {
    const found = await find(session);
    if ('problem' in found) {
      rows.push([name, 'not had', found.problem, '']);
      progress.step('brokers', `${name}: not had: ${found.problem}`);
      continue;
    }
    progress.step('brokers', `${name}: ${found.version}`);
    const tests = await runScript(session, env, ['test.ts', ...TESTS]);
    const counts = /^\d+ passed, \d+ failed.*$/m.exec(tests.stdout)?.[0] ?? `ended with ${tests.code}`;
    const soak =
      soakMinutes === 0
        ? { code: 0, stdout: '' }
        : await runScript(session, env, ['test-soak.ts', '--skip-properties', '--minutes', String(soakMinutes)]);
    rows.push([name, found.version, counts, soakMinutes === 0 ? 'left out' : soakOf(soak)]);
    ran++;
    if (tests.code !== 0 || soak.code !== 0) failed++;
  }
  progress.line();
  for (const line of tableOf(rows)) progress.line(line);
  progress.line();
  progress.step('brokers', `${ran} run, ${failed} with failures`);
  return ran > 0 && failed === 0 ? 0 : 1;
}

/** Runs one of our scripts, shown and read. */
function runScript(session: Session, env: NodeJS.ProcessEnv, [script = '', ...args]: string[]) {
  return runCommand(session, process.execPath, [join(import.meta.dirname, script), ...args], {
    env: { ...process.env, ...env },
    stopGraceMs: STOP_GRACE_MS,
    watch: (child) => {
      child.stdout?.on('data', (text) => process.stdout.write(text));
      child.stderr?.on('data', (text) => process.stderr.write(text));
    },
  });
}

/** What its table says. */
function soakOf({ code, stdout }: { code: number | null; stdout: string }) {
  const found = SOAK_FAULTS.flatMap((name) => {
    const count = new RegExp(`^\\| ${name} +\\| (\\d+) \\|$`, 'm').exec(stdout)?.[1];
    return count === undefined ? [] : [`${count} ${name}`];
  });
  return `${found.join(', ') || 'no table'}${code === 0 ? '' : `; ended with ${code}`}`;
}

/** @param rows the first is the head */
function tableOf(rows: string[][]) {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const [head = '', ...lines] = rows.map(
    (row) => `| ${row.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join(' | ')} |`,
  );
  return [head, `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`, ...lines];
}
