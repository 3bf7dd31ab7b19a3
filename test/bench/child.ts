// Bench: processes of ours, and how they are asked: a command in, its result out, over Node's own channel.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

const STOP_MS = 3_000;

export interface Child<C> {
  pid: number;
  /** What it said of itself when it was ready. */
  hello: { url: string; ids?: Record<'corpId' | 'secret' | 'openKfId', string> };
  ask(command: C): Promise<unknown>;
  stop(): Promise<void>;
}

/** Starts a file beside this one and waits until it is ready. */
export async function startChild<C>(file: string, env: Record<string, string> = {}): Promise<Child<C>> {
  const path = fileURLToPath(new URL(file, import.meta.url));
  const child = spawn(process.execPath, [path], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  const waiting = new Map<number, { resolve(value: unknown): void; reject(error: Error): void }>();
  let asked = 0;
  child.on('message', ({ id, result, error }: { id: number; result?: unknown; error?: string }) => {
    const call = waiting.get(id);
    waiting.delete(id);
    if (error === undefined) call?.resolve(result);
    else call?.reject(new Error(`${file}: ${error}`));
  });
  child.on('exit', (code) => {
    for (const { reject } of waiting.values()) reject(new Error(`${file} ended with ${code}`));
  });
  const hello = await new Promise((resolve, reject) => waiting.set(0, { resolve, reject }));
  return {
    pid: child.pid ?? -1,
    hello: hello as Child<C>['hello'],
    ask: (command) =>
      new Promise((resolve, reject) => {
        const id = ++asked;
        waiting.set(id, { resolve, reject });
        child.send({ id, command });
      }),
    stop: () => stopChild(child),
  };
}

async function stopChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
  await ended;
  clearTimeout(timer);
}

/** The child's side: says hello, then answers each command. Ends with its parent. */
export function answerCommands<C>(hello: Child<C>['hello'], run: (command: C) => Promise<unknown>): void {
  process.on('message', ({ id, command }: { id: number; command: C }) => {
    run(command).then(
      (result) => process.send?.({ id, result }),
      (error) => process.send?.({ id, error: String(error) }),
    );
  });
  process.on('disconnect', () => process.exit());
  process.on('SIGTERM', () => process.exit());
  // The parent ends us in order; a Ctrl-C in the terminal may reach us first.
  process.on('SIGINT', () => {});
  process.send?.({ id: 0, result: hello });
}
