// npm start, npm test, npm run check ─▶ tools that run to their end: pnpm, apt-get, pip, docker, jest, topology, demo.
import type { ChildProcess, StdioOptions } from 'node:child_process';
import { type Exit, startProcess } from './owned-process.ts';
import type { Records } from './process-records.ts';
import { StopRequested } from './start-error.ts';

const STOP_GRACE_MS = 5000;
const KEPT_CHARACTERS = 200_000;

export type CommandResult = Exit & { stdout: string; stderr: string; isTimedOut: boolean };
export type Run = { records: Pick<Records, 'add' | 'remove'>; signal: AbortSignal };

let count = 0;

/**
 * Runs a command to its end. Its output is collected, or inherited. A stop request ends it and throws StopRequested.
 */
export async function runCommand(
  run: Run,
  command: string,
  args: string[],
  options: {
    env?: NodeJS.ProcessEnv;
    cwd?: string;
    timeoutMs?: number;
    /** how long it may take to end when we are stopped */
    stopGraceMs?: number;
    /** its output goes straight to ours */
    isShown?: boolean;
    /** what it reads on stdin */
    input?: string;
    /** e.g. to read a status channel */
    watch?: (child: ChildProcess) => void;
    stdio?: StdioOptions;
  } = {},
): Promise<CommandResult> {
  if (run.signal.aborted) throw new StopRequested();
  const { isShown = false, input } = options;
  const output = isShown ? 'inherit' : 'pipe';
  const owned = startProcess({
    name: `tool-${process.pid}-${++count}`,
    kind: 'tool',
    command,
    args,
    records: run.records,
    ...(options.env && { env: options.env }),
    ...(options.cwd && { cwd: options.cwd }),
    stdio: options.stdio ?? [input === undefined ? 'ignore' : 'pipe', output, output],
  });
  const collected = { stdout: '', stderr: '' };
  for (const stream of ['stdout', 'stderr'] as const) {
    owned.child[stream]?.setEncoding('utf8').on('data', (chunk) => {
      collected[stream] = (collected[stream] + chunk).slice(-KEPT_CHARACTERS);
    });
  }
  if (input !== undefined) owned.child.stdin?.on('error', () => {}).end(input); // EPIPE: it didn't want to read
  options.watch?.(owned.child);

  let isTimedOut = false;
  const onStop = () => void owned.stop(options.stopGraceMs ?? STOP_GRACE_MS);
  run.signal.addEventListener('abort', onStop, { once: true });
  const timer =
    options.timeoutMs === undefined
      ? undefined
      : setTimeout(() => {
          isTimedOut = true;
          void owned.stop(1000);
        }, options.timeoutMs);
  const closed = new Promise((resolve) => owned.child.once('close', resolve).once('error', resolve));
  const exit = await owned.exited;
  // Its pipes may hold a last word; a grandchild that keeps them open must not keep us.
  await Promise.race([closed, new Promise((resolve) => setTimeout(resolve, 500).unref())]);
  clearTimeout(timer);
  run.signal.removeEventListener('abort', onStop);
  if (run.signal.aborted) throw new StopRequested();
  return { ...exit, ...collected, isTimedOut };
}

/** For commands that are part of stopping: no stop request ends them. */
export const unstoppable = (): Run => ({ signal: new AbortController().signal, records: { add() {}, remove() {} } });

/** What went wrong: most tools say it in their last line, Node in the line above a stack trace. */
export function errorLine(text: string) {
  const lines = text.split('\n').map((line) => line.trim());
  return lines.find((line) => /^(Uncaught )?\w*Error\b.*: /.test(line)) ?? lastLine(text);
}

/** The last line with something on it. */
export function lastLine(text: string) {
  return text.trimEnd().split('\n').at(-1)?.trim() ?? '';
}
