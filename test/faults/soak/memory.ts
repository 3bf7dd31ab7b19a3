// Soak ─▶ how much memory a process of each service takes when it is 3 minutes old, and at the end.
import { readFileSync } from 'node:fs';
import type { ServiceName } from '../../support/service-process.ts';
import type { Machine } from './machine.ts';
import { isSpared } from './schedule.ts';

const EVERY_MS = 2_000;
const EARLY_MS = 180_000;
const SPAN_MS = 60_000;

export interface MemoryWatch {
  stop(): void;
  /** Median RSS in MiB around its third minute and in its last one; null if the process didn't live for that long. */
  of(name: ServiceName): { early: number; late: number } | null;
}

/** Watches the replicas that are spared the kills in the end. Only one and the same process is held against itself. */
export function watchMemory({ replicas }: Machine): MemoryWatch {
  const samples = new Map<ServiceName, { pid: number; age: number; mib: number }[]>();
  const timer = setInterval(() => {
    for (const { label, name, service } of replicas) {
      const pid = service.pid();
      const mib = pid === undefined || !isSpared(label) ? null : rssMib(pid);
      if (pid === undefined || mib === null) continue;
      const ofProcess = (samples.get(name) ?? []).filter((sample) => sample.pid === pid);
      samples.set(name, [...ofProcess, { pid, age: service.ageMs(), mib }]);
    }
  }, EVERY_MS);
  return {
    stop: () => clearInterval(timer),
    of(name) {
      const own = samples.get(name) ?? [];
      const end = own.at(-1)?.age ?? 0;
      const early = median(own.filter(({ age }) => Math.abs(age - EARLY_MS) < SPAN_MS / 2).map(({ mib }) => mib));
      const late = median(own.filter(({ age }) => age > end - SPAN_MS).map(({ mib }) => mib));
      return end < EARLY_MS * 2 || early === null || late === null ? null : { early, late };
    },
  };
}

/** Null where /proc doesn't tell, or the process has just ended. */
function rssMib(pid: number): number | null {
  try {
    const pages = Number(readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')[1]);
    return (pages * 4096) / 2 ** 20;
  } catch {
    return null;
  }
}

function median(numbers: number[]): number | null {
  return numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? null;
}
