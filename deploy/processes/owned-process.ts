// npm start, npm test ─▶ child processes: started in groups of their own, recorded, and ended for sure.
import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process';
import { root } from './paths.ts';
import { type Records, signalGroup } from './process-records.ts';

export type Exit = { code: number | null; signal: NodeJS.Signals | null; error?: Error };
export type OwnedProcess = {
  name: string;
  pid: number | undefined;
  child: ChildProcess;
  exited: Promise<Exit>;
  hasExited: () => boolean;
  stop: (graceMs: number) => Promise<Exit>;
};

const alive: Map<number, string> = new Map();

// The last resort: whatever way this process ends (kill -9 apart, see .local/run), nothing stays behind.
process.on('exit', () => {
  for (const pid of alive.keys()) signalGroup(pid, 'SIGKILL');
});

/**
 * Starts a process as the leader of its own group: a Ctrl-C in the terminal reaches only us, and we end the rest in order.
 */
export function startProcess({
  name,
  kind,
  command,
  args,
  records,
  env = process.env,
  cwd = root,
  stdio = 'ignore',
}: {
  /** unique among what runs; the record's file name */
  name: string;
  kind: 'tool' | 'service' | 'simulator' | 'server';
  command: string;
  args: string[];
  records: Pick<Records, 'add' | 'remove'>;
  env?: NodeJS.ProcessEnv;
  cwd?: string;
  stdio?: StdioOptions;
}): OwnedProcess {
  const child = spawn(command, args, { cwd, env, stdio, detached: true });
  const { pid } = child;
  if (pid !== undefined) {
    alive.set(pid, name);
    records.add(name, kind, pid, [command, ...args].join(' '));
  }
  let isOver = false;
  const exited: Promise<Exit> = new Promise((resolve) => {
    const settle = (exit: Exit) => {
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
