// Starts, kills and stops toy processes.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { PartitionsHeld } from '../src/index.ts';
import type { ToyProcessOptions, ToySaid } from './toy-process.ts';

export interface ToyChild {
  /** Resolves with exit code or signal. */
  ended: Promise<number | NodeJS.Signals | null>;
  ready: Promise<void>;
  pid: number;
  kill(signal: NodeJS.Signals): void;
  errors(): string;
  /** What it says it holds. */
  held(): PartitionsHeld;
  /** Its calls that have ended. */
  calls: Extract<ToySaid, { call: string }>[];
}

const PROGRAM = fileURLToPath(new URL('./toy-process.ts', import.meta.url));

export function startToyChild(options: ToyProcessOptions): ToyChild {
  const { PATH, NODE_COMPILE_CACHE } = process.env;
  const child: ChildProcess = spawn(process.execPath, [PROGRAM, JSON.stringify(options)], {
    env: { PATH, ...(NODE_COMPILE_CACHE && { NODE_COMPILE_CACHE }) },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const errors: string[] = [];
  child.stderr?.on('data', (chunk: Buffer) => errors.push(chunk.toString('utf8')));
  const ended = once(child, 'exit').then(([code, signal]) => (code ?? signal) as number | NodeJS.Signals | null);
  const lines = createInterface({ input: child.stdout as NonNullable<ChildProcess['stdout']> });
  let held: PartitionsHeld = { owned: [], standingBy: [], replicas: [] };
  const calls: ToyChild['calls'] = [];
  lines.on('line', (line) => {
    if (line === 'ready') return;
    const said = JSON.parse(line) as ToySaid;
    if ('held' in said) held = said.held;
    else calls.push(said);
  });
  const ready = Promise.race([
    once(lines, 'line').then(() => {}),
    ended.then((how) => {
      // Also the way of a process that is killed before it was ready: its killer awaits `ended` instead.
      if (how !== 'SIGKILL') throw new Error(`toy process ended with ${how}: ${errors.join('')}`);
    }),
  ]);
  ready.catch(() => {}); // told to whoever awaits it
  return {
    ended,
    ready,
    pid: child.pid ?? -1,
    kill: (signal) => void child.kill(signal),
    errors: () => errors.join(''),
    held: () => held,
    calls,
  };
}
