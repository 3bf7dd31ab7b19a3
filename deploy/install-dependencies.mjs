// bootstrap.mjs ─▶ the dependencies of the workspace, when they aren't there yet. Plain JavaScript for Node 20.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { stripVTControlCharacters } from 'node:util';

const PNPM = 'pnpm@12.21.0';
const INSTALL = ['install', '--frozen-lockfile', '--config.confirmModulesPurge=false', '--reporter=append-only'];
const SAY_MS = 5_000;
const LOCK_POLL_MS = 300;
const KEPT_CHARACTERS = 200_000;
const startedAt = Date.now();

/** @param {string} root @returns {Promise<boolean>} false: it failed, and has said so */
export async function installDependencies(root) {
  if (isInstalled(root)) return true;
  const lock = join(root, '.local', 'install.lock');
  await takeLock(lock);
  try {
    return isInstalled(root) || (await install(root)); // whoever had the lock may have done it
  } finally {
    rmSync(lock, { force: true });
  }
}

/** @param {string} root */
async function install(root) {
  say(`dependencies, with ${PNPM}`);
  const total = countLocked(root);
  const telling = setInterval(() => say(`… ${Math.floor((100 * countInstalled(root)) / total)} %`), SAY_MS);
  // npm waits 10 s and then 60 s before it gives a registry up; nobody looks at a still line for that long.
  const patience = { npm_config_fetch_retry_mintimeout: '2000', npm_config_fetch_retry_maxtimeout: '10000' };
  const env = { ...patience, ...process.env, CI: 'true' };
  const { code, output } = await run('npx', ['-y', PNPM, ...INSTALL], root, env);
  clearInterval(telling);
  if (code === 0 && existsSync(node26(root))) {
    writeFileSync(stampFile(root), stampOf(root));
    say('done');
    return true;
  }
  say(`FAILED: ${PNPM} install: ${causeIn(output) || `exit code ${code}`}`);
  say(remedyFor(output));
  return false;
}

/** @param {string} command @param {string[]} args @param {string} cwd @param {NodeJS.ProcessEnv} env */
async function run(command, args, cwd, env) {
  let output = '';
  // In a group of its own: whatever it has started ends with it when we are told to stop.
  const child = spawn(command, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
  const stop = () => {
    if (child.pid) process.kill(-child.pid, 'SIGTERM');
    process.exit(130);
  };
  const signals = /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP']);
  for (const signal of signals) process.on(signal, stop);
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text) => {
      output = (output + text).slice(-KEPT_CHARACTERS);
    });
  const code = await new Promise((resolve) => {
    child.on('close', resolve).on('error', (error) => {
      output += error.message;
      resolve(127);
    });
  });
  for (const signal of signals) process.off(signal, stop);
  return { code, output };
}

/** The line that says it best; npm and pnpm print many around it. @param {string} output */
function causeIn(output) {
  const lines = output.split('\n').map((text) => stripVTControlCharacters(text).trim());
  const request = lines.find((text) => /request to \S+ failed/.test(text));
  if (request) return request.slice(request.indexOf('request to'));
  const pnpm = lines.find((text) => /ERR_PNPM_\w+/.test(text));
  if (pnpm) return [pnpm, lines.find((text) => text.startsWith('╰─▶'))?.slice(4)].filter(Boolean).join(': ');
  const npm = lines.find((text) => /^npm error (?!code|errno|syscall|path|A complete log)/.test(text));
  return npm ?? lines.filter(Boolean).at(-1);
}

/** @param {string} output */
function remedyFor(output) {
  if (/OUTDATED_LOCKFILE|FROZEN_LOCKFILE/i.test(output))
    return `A package.json was changed without pnpm-lock.yaml: run "npx ${PNPM} install" and commit both.`;
  if (/ENOTFOUND|ECONNREFUSED|ECONNRESET|ETIMEDOUT|EAI_AGAIN|META_FETCH_FAIL|network|fetch/i.test(output))
    return 'The npm registry could not be reached: check the network, the proxy and "npm config get registry".';
  return `Run "npx ${PNPM} install --frozen-lockfile" to see all of its output.`;
}

/** @param {string} text */
const say = (text) =>
  process.stderr.write(`[${((Date.now() - startedAt) / 1000).toFixed(1).padStart(6)} s] install          ${text}\n`);

/** @param {string} root */
const node26 = (root) => join(root, 'node_modules', 'node', 'bin', 'node');
/** @param {string} root */
const stampFile = (root) => join(root, 'node_modules', '.install-stamp');

/** @param {string} root */
function isInstalled(root) {
  try {
    const isSame = readFileSync(stampFile(root), 'utf8') === stampOf(root);
    return (
      isSame && existsSync(node26(root)) && packageFiles(root).every((file) => hasItsDependencies(join(root, file)))
    );
  } catch {
    return false;
  }
}

/** A folder that was laid anew (by git, say) has lost its links. @param {string} file */
function hasItsDependencies(file) {
  const { dependencies = {} } = JSON.parse(readFileSync(file, 'utf8'));
  return Object.keys(dependencies).length === 0 || existsSync(join(dirname(file), 'node_modules'));
}

/** Changes whenever another install could come out differently; takes a few milliseconds. @param {string} root */
function stampOf(root) {
  const hash = createHash('sha256').update(`${PNPM} ${process.platform} ${process.arch}`);
  for (const file of ['pnpm-lock.yaml', 'pnpm-workspace.yaml', 'package.json', ...packageFiles(root)])
    hash.update(`\n${file}\n`).update(readFileSync(join(root, file)));
  return hash.digest('hex');
}

/** Of all packages that pnpm-workspace.yaml names: a folder, or all folders in one (`services/*`). @param {string} root */
function packageFiles(root) {
  const [, list = ''] =
    /^packages:\n((?: +- .*\n)+)/m.exec(readFileSync(join(root, 'pnpm-workspace.yaml'), 'utf8')) ?? [];
  const folders = [...list.matchAll(/- (\S+)/g)].flatMap(([, pattern = '']) =>
    pattern.endsWith('/*')
      ? readdirSync(join(root, dirname(pattern))).map((name) => join(dirname(pattern), name))
      : [pattern],
  );
  return folders.map((folder) => join(folder, 'package.json')).filter((file) => existsSync(join(root, file)));
}

/** Keys of the lockfile's `packages:` section, which stand two spaces in. @param {string} root */
function countLocked(root) {
  const lockfile = readFileSync(join(root, 'pnpm-lock.yaml'), 'utf8');
  const section = lockfile.slice(lockfile.indexOf('\npackages:\n'), lockfile.indexOf('\nsnapshots:\n'));
  return Math.max(1, section.match(/^ {2}\S.*:$/gm)?.length ?? 1);
}

/** @param {string} root */
function countInstalled(root) {
  try {
    return readdirSync(join(root, 'node_modules', '.pnpm')).length;
  } catch {
    return 0; // not that far yet
  }
}

/** One install at a time per clone: npm start and npm test may begin together. @param {string} lock */
async function takeLock(lock) {
  mkdirSync(dirname(lock), { recursive: true });
  for (let isSaid = false; ; await sleep(LOCK_POLL_MS)) {
    try {
      writeFileSync(lock, String(process.pid), { flag: 'wx' });
      return;
    } catch (error) {
      if (/** @type {NodeJS.ErrnoException} */ (error).code !== 'EEXIST') throw error;
    }
    const holder = readHolder(lock);
    if (holder !== null && !isAlive(holder))
      rmSync(lock, { force: true }); // left by a killed run
    else if (!isSaid) say(`waiting for the install that process ${holder ?? '?'} does`);
    isSaid = true;
  }
}

/** @param {string} lock @returns {number | null} null while it is being written, or gone */
function readHolder(lock) {
  try {
    return Number(readFileSync(lock, 'utf8')) || null;
  } catch {
    return null;
  }
}

/** @param {number} pid */
function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
