// npm start, npm test ─▶ apt-get, as root on Debian or Ubuntu: where it needs no question.
import { existsSync } from 'node:fs';
import type { Readable } from 'node:stream';
import * as progress from '../processes/progress.ts';
import { errorLine, type Run, runCommand } from '../processes/run-command.ts';
import { StartError } from '../processes/start-error.ts';

const STATUS_FD = 3;
const LOCK_WAIT_S = 120;

let isListFresh = false;

export const canAptInstall = () => process.getuid?.() === 0 && existsSync('/usr/bin/apt-get');

/** Installs packages without asking and without what they merely recommend. */
export async function aptInstall(run: Run, step: string, packages: string[]) {
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

async function aptGet(run: Run, step: string, args: string[], onProgress: (done: number) => void) {
  const options = ['-q', '-o', `APT::Status-Fd=${STATUS_FD}`, '-o', `DPkg::Lock::Timeout=${LOCK_WAIT_S}`];
  const result = await runCommand(run, 'apt-get', [...options, ...args], {
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' },
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
    // Lines like `dlstatus:1:37.5:Retrieving …` and `pmstatus:erlang-base:52.1:Unpacking …`.
    watch: (child) => {
      const status = child.stdio[STATUS_FD] as Readable;
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
