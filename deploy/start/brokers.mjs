// npm run test:brokers: the integration and fault tests and a short soak, on each RabbitMQ that can be had here.
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { endAbandonedRuns } from './abandoned-runs.mjs';
import { findDockerProblem } from './docker-engine.mjs';
import { findInstalledServer, installRabbitmq, serverIn } from './install-rabbitmq.mjs';
import { local, scripts } from './paths.mjs';
import * as progress from './progress.mjs';
import { lastLine, runCommand } from './run-command.mjs';
import { runSession } from './session.mjs';
import { StartError } from './start-error.mjs';

const USAGE = `npm run test:brokers [-- options]
  --home DIR          a RabbitMQ unpacked there, with sbin/rabbitmq-server in it; may be repeated (or RABBITMQ_HOME)
  --only NAME         only the one of that name: installed, a home's DIR, or a version like 4.3; may be repeated
  --soak-minutes N    3 unless told; 0 leaves the soak out
  --help`;
const IMAGE_VERSIONS = ['3.13', '4.0', '4.1', '4.2', '4.3'];
const TESTS = ['\\.int\\.test\\.', 'test/faults/'];
const SOAK_FAULTS = ['lost', 'repeated', 'reordered', 'overlapping', 'wrong', 'stuck', 'dead-lettered'];
const VERSION_MS = 60_000;
const STOP_GRACE_MS = 30_000; // tests and soak have servers of their own to end

/**
 * @typedef {import('./session.mjs').Session} Session
 * @typedef {{ name: string, env: NodeJS.ProcessEnv, find: (session: Session) => Promise<{ version: string } | { problem: string }> }} Candidate
 */

const options = readArguments();
if (typeof options === 'string') {
  (process.exitCode === 0 ? process.stdout : process.stderr).write(`${options}\n`);
} else {
  const directory = join(local, 'brokers', String(process.pid));
  await runSession({ recordsDirectory: join(directory, 'run'), codeOnSignal: 130 }, async (session) => {
    await endAbandonedRuns(join(local, 'brokers'));
    session.onStop(() => rmSync(directory, { recursive: true, force: true }));
    return runAll(session, options);
  });
}

/** @returns what is to be done, or what to say instead */
function readArguments() {
  try {
    const { values } = parseArgs({
      options: {
        home: { type: 'string', multiple: true, default: [process.env.RABBITMQ_HOME ?? ''].filter(Boolean) },
        only: { type: 'string', multiple: true, default: [] },
        'soak-minutes': { type: 'string', default: '3' },
        help: { type: 'boolean', default: false },
      },
    });
    process.exitCode = 0;
    if (values.help) return USAGE;
    const soakMinutes = Number(values['soak-minutes']);
    process.exitCode = 2;
    if (!(soakMinutes >= 0)) return `--soak-minutes: ${values['soak-minutes']} is no number\n${USAGE}`;
    const candidates = listCandidates(values.home);
    const unknown = values.only.find((name) => !candidates.some((candidate) => candidate.name === name));
    if (unknown)
      return `--only: there is no ${unknown}, but ${candidates.map(({ name }) => name).join(', ')}\n${USAGE}`;
    process.exitCode = undefined;
    const wanted = candidates.filter(({ name }) => values.only.length === 0 || values.only.includes(name));
    return { candidates: wanted, soakMinutes };
  } catch (error) {
    process.exitCode = 2;
    return `${error instanceof Error ? error.message : error}\n${USAGE}`;
  }
}

/** @param {string[]} homes @returns {Candidate[]} */
function listCandidates(homes) {
  return [
    { name: 'installed', env: { INFRA: 'local', RABBITMQ_HOME: '' }, find: findInstalled },
    ...homes.map((home) => ({
      name: home,
      env: { INFRA: 'local', RABBITMQ_HOME: home },
      find: (/** @type {Session} */ session) => versionOf(session, serverIn(home)),
    })),
    ...IMAGE_VERSIONS.map((version) => {
      const image = `rabbitmq:${version}-management`;
      const find = async (/** @type {Session} */ session) => {
        const problem = await findDockerProblem(session, [image]);
        return problem ? { problem } : versionOfImage(session, image, version);
      };
      return { name: version, env: { INFRA: 'docker', RABBITMQ_IMAGE: image }, find };
    }),
  ];
}

/** @param {Session} session */
async function findInstalled(session) {
  try {
    return await versionOf(session, findInstalledServer() ?? (await installRabbitmq(session)));
  } catch (error) {
    if (error instanceof StartError) return { problem: error.message };
    throw error;
  }
}

/** @param {Session} session @param {string} program `rabbitmq-server` */
async function versionOf(session, program) {
  if (!existsSync(program)) return { problem: `${program} is not there` };
  const { code, stdout, stderr } = await runCommand(session, join(program, '..', 'rabbitmqctl'), ['version'], {
    timeoutMs: VERSION_MS,
  });
  return code === 0 ? { version: lastLine(stdout) } : { problem: lastLine(stderr) || `rabbitmqctl ended with ${code}` };
}

/** A tag is only a name: what counts is what is in the image. @param {Session} session @param {string} image @param {string} release */
async function versionOfImage(session, image, release) {
  const args = ['run', '--rm', image, 'rabbitmqctl', 'version'];
  const { code, stdout, stderr } = await runCommand(session, 'docker', args, { timeoutMs: VERSION_MS });
  const version = lastLine(stdout);
  if (code !== 0) return { problem: `${image}: ${lastLine(stderr) || `rabbitmqctl ended with ${code}`}` };
  return version.startsWith(`${release}.`)
    ? { version }
    : { problem: `the image ${image} here holds RabbitMQ ${version}` };
}

/** @param {Session} session @param {{ candidates: Candidate[], soakMinutes: number }} options */
async function runAll(session, { candidates, soakMinutes }) {
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
    const tests = await runScript(session, env, ['test.mjs', ...TESTS]);
    const counts = /^\d+ passed, \d+ failed.*$/m.exec(tests.stdout)?.[0] ?? `ended with ${tests.code}`;
    const soak =
      soakMinutes === 0
        ? { code: 0, stdout: '' }
        : await runScript(session, env, ['soak.mjs', '--skip-properties', '--minutes', String(soakMinutes)]);
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

/** Runs one of our scripts, shown and read. @param {Session} session @param {NodeJS.ProcessEnv} env @param {string[]} args */
function runScript(session, env, [script = '', ...args]) {
  return runCommand(session, process.execPath, [join(scripts, script), ...args], {
    env: { ...process.env, ...env },
    stopGraceMs: STOP_GRACE_MS,
    watch: (child) => {
      child.stdout?.on('data', (text) => process.stdout.write(text));
      child.stderr?.on('data', (text) => process.stderr.write(text));
    },
  });
}

/** What its table says. @param {{ code: number | null, stdout: string }} soak */
function soakOf({ code, stdout }) {
  const found = SOAK_FAULTS.flatMap((name) => {
    const count = new RegExp(`^\\| ${name} +\\| (\\d+) \\|$`, 'm').exec(stdout)?.[1];
    return count === undefined ? [] : [`${count} ${name}`];
  });
  return `${found.join(', ') || 'no table'}${code === 0 ? '' : `; ended with ${code}`}`;
}

/** @param {string[][]} rows the first is the head */
function tableOf(rows) {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const [head = '', ...lines] = rows.map(
    (row) => `| ${row.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join(' | ')} |`,
  );
  return [head, `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`, ...lines];
}
