// One of our services as a process, as `npm start` and the containers run it.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { eventually } from './eventually.ts';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));

const COMPILE_CACHE = `${ROOT}/.local/compile-cache`;
const KEPT_LOG_LINES = 2_000;

export type ServiceName = 'ingest' | 'binder' | 'router' | 'sender';

export interface ServiceProcess {
  name: ServiceName;
  url: string;
  pid(): number;
  /** @param changes to the environment, for this start only */
  start(changes?: Record<string, string>): Promise<void>;
  ready(withinMs?: number): Promise<void>;
  /** Sends a signal and waits for the end. @returns exit code or signal */
  stop(signal?: NodeJS.Signals): Promise<number | NodeJS.Signals | null>;
  /** Sends a signal and waits for nothing (SIGSTOP, SIGCONT). */
  signal(signal: NodeJS.Signals): void;
  isRunning(): boolean;
  logs(): string[];
}

/** @param logTo a file for what it logs, which `logs()` then doesn't tell */
export function serviceProcess(
  name: ServiceName,
  port: number,
  environment: Record<string, string>,
  logTo?: string,
): ServiceProcess {
  let child: ChildProcess | undefined;
  const lines: string[] = [];
  const url = `http://127.0.0.1:${port}`;

  const keep = (chunk: Buffer) => {
    lines.push(...chunk.toString('utf8').split('\n').filter(Boolean));
    lines.splice(0, Math.max(0, lines.length - KEPT_LOG_LINES));
  };
  const isRunning = () => child !== undefined && child.exitCode === null && child.signalCode === null;

  const service: ServiceProcess = {
    name,
    url,
    pid: () => child?.pid ?? -1,
    isRunning,
    logs: () => [...lines],
    async start(changes = {}) {
      const output = logTo === undefined ? 'pipe' : openSync(logTo, 'a');
      child = spawn(process.execPath, [`services/${name}/src/main.ts`], {
        cwd: ROOT,
        env: {
          PATH: process.env.PATH,
          // Four processes of the same sources are started for every file: what was compiled once needn't be again.
          NODE_COMPILE_CACHE: COMPILE_CACHE,
          ...environment,
          ...changes,
          [`${name.toUpperCase()}_PORT`]: String(port),
        },
        stdio: ['ignore', output, output],
      });
      child.stdout?.on('data', keep);
      child.stderr?.on('data', keep);
      if (typeof output === 'number') closeSync(output); // the child has its own now
      await once(child, 'spawn');
    },
    async ready(withinMs = 30_000) {
      await eventually(
        `${name} ready`,
        async () => {
          if (!isRunning()) throw new Error(`${name} ended: ${logTo ?? lines.slice(-5).join('\n')}`);
          const response = await fetch(`${url}/readyz`);
          if (response.ok) return true;
          throw new Error(await response.text());
        },
        { withinMs, everyMs: 50 },
      );
    },
    async stop(signal = 'SIGTERM') {
      if (!child || !isRunning()) return child?.exitCode ?? child?.signalCode ?? null;
      const ended = once(child, 'exit');
      child.kill(signal);
      if (signal === 'SIGKILL') child.kill('SIGCONT');
      await ended;
      return child.exitCode ?? child.signalCode;
    },
    signal: (signal) => {
      child?.kill(signal);
    },
  };
  return service;
}
