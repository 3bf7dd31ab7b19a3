// npm start, npm test, npm run check: first step, the dependencies of the workspace, when they aren't there yet.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { stripVTControlCharacters } from 'node:util';
import { local, node26, root } from './paths.mjs';
import { identityOf, isRunning } from './process-records.mjs';
import * as progress from './progress.mjs';
import { lastLine, runCommand } from './run-command.mjs';
import { StartError, StopRequested } from './start-error.mjs';

const PNPM = 'pnpm@12.21.0';
const STAMP = join(root, 'node_modules', '.install-stamp');
const LOCK = join(local, 'install.lock');
const LOCK_POLL_MS = 300;

/** @param {import('./run-command.mjs').Run} run */
export async function installDependencies(run) {
  if (isInstalled()) return;
  const release = await takeLock(run);
  try {
    if (!isInstalled()) await install(run); // whoever had the lock may have done it
  } finally {
    release();
  }
}

/** @param {import('./run-command.mjs').Run} run */
async function install(run) {
  const since = performance.now();
  const bar = progress.bar('install', `dependencies, with ${PNPM}`);
  const total = countLockedPackages();
  const counter = setInterval(() => bar.at(countInstalledPackages() / total), 500);
  // pnpm asks before it removes a node_modules that another version made; nobody is there to answer.
  const args = [
    '-y',
    PNPM,
    'install',
    '--frozen-lockfile',
    '--config.confirmModulesPurge=false',
    '--reporter=append-only',
  ];
  const result = await runCommand(run, 'npx', args, { env: installEnvironment() }).finally(() => {
    clearInterval(counter);
    bar.end();
  });
  if (result.code !== 0 || !existsSync(node26)) {
    throw new StartError('install', `${PNPM} install: ${causeOf(result)}`, remedyOf(result));
  }
  writeFileSync(STAMP, currentStamp());
  progress.step('install', `done ${progress.took(since)}`);
}

/** @returns {NodeJS.ProcessEnv} */
function installEnvironment() {
  return {
    // npm waits 10 s and then 60 s before it gives a registry up; nobody looks at a still bar for that long.
    npm_config_fetch_retry_mintimeout: '2000',
    npm_config_fetch_retry_maxtimeout: '10000',
    ...process.env,
    CI: 'true',
  };
}

/** The line that says it best; npm and pnpm print many around it. */
function causeOf(/** @type {import('./run-command.mjs').CommandResult} */ { stdout, stderr, code, error }) {
  if (error) return error.message;
  const lines = `${stderr}\n${stdout}`.split('\n').map((text) => stripVTControlCharacters(text).trim());
  const request = lines.find((text) => /request to \S+ failed/.test(text));
  if (request) return request.slice(request.indexOf('request to'));
  const pnpm = lines.find((text) => /ERR_PNPM_\w+/.test(text));
  if (pnpm) return [pnpm, lines.find((text) => text.startsWith('╰─▶'))?.slice(4)].filter(Boolean).join(': ');
  const npm = lines.find((text) => /^npm error (?!code|errno|syscall|path|A complete log)/.test(text));
  return npm ?? (lastLine(stderr) || lastLine(stdout) || `exit code ${code}`);
}

function remedyOf(/** @type {import('./run-command.mjs').CommandResult} */ { stdout, stderr }) {
  const all = stdout + stderr;
  if (/OUTDATED_LOCKFILE|FROZEN_LOCKFILE/i.test(all)) {
    return `A package.json was changed without pnpm-lock.yaml: run "npx ${PNPM} install" and commit both.`;
  }
  if (/ENOTFOUND|ECONNREFUSED|ECONNRESET|ETIMEDOUT|EAI_AGAIN|META_FETCH_FAIL|network|fetch/i.test(all)) {
    return 'The npm registry could not be reached: check the network, the proxy and "npm config get registry".';
  }
  return `Run "npx ${PNPM} install --frozen-lockfile" to see all of its output.`;
}

function isInstalled() {
  try {
    return (
      readFileSync(STAMP, 'utf8') === currentStamp() && existsSync(node26) && packageFiles().every(hasItsDependencies)
    );
  } catch {
    return false;
  }
}

/** A folder that was laid anew (by git, say) has lost its links. */
function hasItsDependencies(/** @type {string} */ file) {
  const { dependencies = {} } = JSON.parse(readFileSync(join(root, file), 'utf8'));
  return Object.keys(dependencies).length === 0 || existsSync(join(root, dirname(file), 'node_modules'));
}

/**
 * Changes whenever another install could come out differently; takes a few milliseconds. Not with the Node that runs
 * this: what is installed runs on the one that is installed with it.
 */
function currentStamp() {
  const hash = createHash('sha256').update(`${PNPM} ${process.platform} ${process.arch}`);
  for (const file of ['pnpm-lock.yaml', 'pnpm-workspace.yaml', 'package.json', ...packageFiles()]) {
    hash.update(`\n${file}\n`).update(readFileSync(join(root, file)));
  }
  return hash.digest('hex');
}

/** As pnpm-workspace.yaml lists them. */
function packageFiles() {
  const many = ['services', 'packages'].flatMap((parent) =>
    readdirSync(join(root, parent)).map((name) => join(parent, name)),
  );
  const files = [...many, 'test', 'deploy/topology'].map((folder) => join(folder, 'package.json'));
  return files.filter((file) => existsSync(join(root, file)));
}

/** Keys of the lockfile's `packages:` section, which stand two spaces in. */
function countLockedPackages() {
  const lockfile = readFileSync(join(root, 'pnpm-lock.yaml'), 'utf8');
  const section = lockfile.slice(lockfile.indexOf('\npackages:\n'), lockfile.indexOf('\nsnapshots:\n'));
  return Math.max(1, section.match(/^ {2}\S.*:$/gm)?.length ?? 1);
}

function countInstalledPackages() {
  try {
    return readdirSync(join(root, 'node_modules', '.pnpm')).length;
  } catch {
    return 0; // not that far yet
  }
}

/** One install at a time per clone: npm start and npm test may begin together. @param {import('./run-command.mjs').Run} run */
async function takeLock(run) {
  mkdirSync(local, { recursive: true });
  for (let isSaid = false; ; ) {
    try {
      const holder = {
        name: 'install',
        kind: 'tool',
        pid: process.pid,
        identity: identityOf(process.pid),
        command: '',
      };
      writeFileSync(LOCK, JSON.stringify(holder), { flag: 'wx' });
      return () => rmSync(LOCK, { force: true });
    } catch (error) {
      if (/** @type {NodeJS.ErrnoException} */ (error).code !== 'EEXIST') throw error;
    }
    const holder = readHolder();
    if (holder && !isRunning(holder)) {
      rmSync(LOCK, { force: true }); // left by a killed run
      continue;
    }
    if (!isSaid) progress.step('install', `waiting for the install that process ${holder?.pid ?? '?'} does`);
    isSaid = true;
    await sleep(LOCK_POLL_MS);
    if (run.signal.aborted) throw new StopRequested();
  }
}

/** @returns {import('./process-records.mjs').ProcessRecord | undefined} undefined while it is being written */
function readHolder() {
  try {
    return JSON.parse(readFileSync(LOCK, 'utf8'));
  } catch {
    return undefined;
  }
}
