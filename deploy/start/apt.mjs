// npm start, npm test ─▶ apt-get, as root on Debian or Ubuntu: where it needs no question.
import { existsSync } from 'node:fs';
import * as progress from './progress.mjs';
import { errorLine, runCommand } from './run-command.mjs';
import { StartError } from './start-error.mjs';

const STATUS_FD = 3;
const LOCK_WAIT_S = 120;

let isListFresh = false;

export const canAptInstall = () => process.getuid?.() === 0 && existsSync('/usr/bin/apt-get');

/**
 * Installs packages without asking and without what they merely recommend.
 * @param {import('./run-command.mjs').Run} run @param {string} step @param {string[]} packages
 */
export async function aptInstall(run, step, packages) {
  if (!canAptInstall()) {
    throw new StartError(
      step,
      `${packages.join(', ')}: not installed, and only root on Debian or Ubuntu installs it by itself`,
    );
  }
  const bar = progress.bar(step, `installing ${packages.join(', ')} with apt-get`);
  try {
    if (!isListFresh) await aptGet(run, step, ['update'], (done) => bar.at(done * 0.2));
    isListFresh = true;
    await aptGet(run, step, ['install', '-y', '--no-install-recommends', ...packages], (done) =>
      bar.at(0.2 + done * 0.8),
    );
  } finally {
    bar.end();
  }
}

/** @param {import('./run-command.mjs').Run} run @param {string} step @param {string[]} args @param {(done: number) => void} onProgress */
async function aptGet(run, step, args, onProgress) {
  const options = ['-q', '-o', `APT::Status-Fd=${STATUS_FD}`, '-o', `DPkg::Lock::Timeout=${LOCK_WAIT_S}`];
  const result = await runCommand(run, 'apt-get', [...options, ...args], {
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' },
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
    // Lines like `dlstatus:1:37.5:Retrieving …` and `pmstatus:erlang-base:52.1:Unpacking …`.
    watch: (child) => {
      const status = /** @type {import('node:stream').Readable} */ (child.stdio[STATUS_FD]);
      status.setEncoding('utf8').on('data', (chunk) => {
        for (const [, kind, percent] of String(chunk).matchAll(/^(dlstatus|pmstatus):[^:]*:([\d.]+)/gm)) {
          onProgress((Number(percent) / 100) * 0.5 + (kind === 'pmstatus' ? 0.5 : 0));
        }
      });
    },
  });
  if (result.code === 0) return;
  const cause =
    result.error?.message ??
    result.stderr.split('\n').find((text) => text.startsWith('E: ')) ??
    errorLine(result.stderr);
  throw new StartError(
    step,
    `apt-get ${args[0]}: ${cause}`,
    `Install it yourself: apt-get install ${args
      .slice(1)
      .filter((name) => !name.startsWith('-'))
      .join(' ')}`,
  );
}
