// npm start, npm test ─▶ child processes: started in groups of their own, recorded, and ended for sure.
import { spawn } from 'node:child_process';
import { root } from './paths.mjs';
import { signalGroup } from './process-records.mjs';

/**
 * @typedef {{ code: number | null, signal: NodeJS.Signals | null, error?: Error }} Exit
 * @typedef {{ name: string, pid: number | undefined, child: import('node:child_process').ChildProcess,
 *   exited: Promise<Exit>, hasExited: () => boolean, stop: (graceMs: number) => Promise<Exit> }} OwnedProcess
 */

/** @type {Map<number, string>} pids of what runs now */
const alive = new Map();

// The last resort: whatever way this process ends (kill -9 apart, see .local/run), nothing stays behind.
process.on('exit', () => {
  for (const pid of alive.keys()) signalGroup(pid, 'SIGKILL');
});

/**
 * Starts a process as the leader of its own group: a Ctrl-C in the terminal reaches only us, and we end the rest in order.
 * @param {object} options
 * @param {string} options.name unique among what runs; the record's file name
 * @param {'tool' | 'service' | 'simulator' | 'server'} options.kind
 * @param {string} options.command
 * @param {string[]} options.args
 * @param {{ add: Function, remove: (name: string) => void }} options.records
 * @param {NodeJS.ProcessEnv} [options.env]
 * @param {string} [options.cwd]
 * @param {import('node:child_process').StdioOptions} [options.stdio]
 * @returns {OwnedProcess}
 */
export function startProcess({ name, kind, command, args, records, env = process.env, cwd = root, stdio = 'ignore' }) {
  const child = spawn(command, args, { cwd, env, stdio, detached: true });
  const { pid } = child;
  if (pid !== undefined) {
    alive.set(pid, name);
    records.add(name, kind, pid, [command, ...args].join(' '));
  }
  let isOver = false;
  /** @type {Promise<Exit>} */
  const exited = new Promise((resolve) => {
    const settle = (/** @type {Exit} */ exit) => {
      if (isOver) return;
      isOver = true;
      if (pid !== undefined) {
        signalGroup(pid, 'SIGKILL'); // what it started itself and left
        alive.delete(pid);
        records.remove(name);
      }
      resolve(exit);
    };
    child.on('exit', (code, signal) => settle({ code, signal }));
    child.on('error', (error) => {
      if (pid === undefined) settle({ code: 127, signal: null, error });
    });
  });

  return {
    name,
    pid,
    child,
    exited,
    hasExited: () => isOver,
    async stop(graceMs) {
      if (isOver || pid === undefined) return exited;
      signalGroup(pid, 'SIGTERM');
      const timer = setTimeout(() => signalGroup(pid, 'SIGKILL'), graceMs);
      const exit = await exited;
      clearTimeout(timer);
      return exit;
    },
  };
}
