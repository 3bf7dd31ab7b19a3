// Bench: CPU time and memory of processes, as Linux tells them in /proc. Elsewhere: nothing is told, and said so.
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

export interface Cost {
  /** User and system time of all threads since the start, ms. */
  cpuMs: number;
  rssMib: number;
}

export const canMeasure = process.platform === 'linux';

const ticksPerSecond = canMeasure ? Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' })) : 100;

/** Null where /proc doesn't tell, or the process is gone. */
export function costOf(pid: number): Cost | null {
  const stat = readStat(pid);
  return stat && { cpuMs: (stat.ticks * 1000) / ticksPerSecond, rssMib: (stat.pages * 4096) / 2 ** 20 };
}

/** A process and all that it started, and they. */
export function familyOf(pid: number): number[] {
  const parents = new Map(pids().map((each) => [each, readStat(each)?.parent]));
  const family = [pid];
  for (const member of family) for (const [each, parent] of parents) if (parent === member) family.push(each);
  return family;
}

/**
 * A server says which process it is as it sees itself; in a container that is another number than here.
 * @returns the pid here, or null (another machine, or a virtual one)
 */
export function findServer(reported: number, command: string): number | null {
  if (!canMeasure) return null;
  if (readStat(reported)?.command === command) return reported;
  const isIt = (pid: number) => {
    try {
      const status = readFileSync(`/proc/${pid}/status`, 'utf8');
      const inside = /^NSpid:\s+(.*)$/m.exec(status)?.[1]?.split(/\s+/) ?? [];
      return readStat(pid)?.command === command && inside.length > 1 && Number(inside.at(-1)) === reported;
    } catch {
      return false; // it ended in this moment
    }
  };
  return pids().find(isIt) ?? null;
}

const pids = () =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number);

function readStat(pid: number): { command: string; parent: number; ticks: number; pages: number } | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The command stands in brackets and may hold brackets itself; what follows begins with field 3.
    const end = stat.lastIndexOf(')');
    const fields = stat.slice(end + 2).split(' ');
    const field = (number: number) => Number(fields[number - 3]);
    const command = stat.slice(stat.indexOf('(') + 1, end);
    return { command, parent: field(4), ticks: field(14) + field(15), pages: field(24) };
  } catch {
    return null; // no /proc, or no such process
  }
}
