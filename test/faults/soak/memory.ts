// Soak ─▶ how much memory each service takes, early and late.
import { readFileSync } from 'node:fs';
import type { ServiceName } from '../../support/service-process.ts';
import type { Machine } from './machine.ts';

const EVERY_MS = 2_000;
/** Processes are young here, for they are killed; those much younger than others can't be compared. */
const COMPARED_AGE_MS = [8_000, 30_000] as const;
export const EARLY_MS = 180_000;
const SPAN_MS = 60_000;

export interface MemoryWatch {
  stop(): void;
  /** Median RSS in MiB around 3 min and in the last minute; null where nothing could be compared. */
  of(name: ServiceName): { early: number | null; late: number | null };
}

export function watchMemory({ replicas }: Machine): MemoryWatch {
  const startedAt = performance.now();
  const samples: { name: ServiceName; at: number; mib: number }[] = [];
  const timer = setInterval(() => {
    for (const { name, service } of replicas) {
      const pid = service.pid();
      const age = service.ageMs();
      if (pid === undefined || age < COMPARED_AGE_MS[0] || age > COMPARED_AGE_MS[1]) continue;
      const mib = rssMib(pid);
      if (mib !== null) samples.push({ name, at: performance.now() - startedAt, mib });
    }
  }, EVERY_MS);
  return {
    stop: () => clearInterval(timer),
    of(name) {
      const end = samples.at(-1)?.at ?? 0;
      const own = samples.filter((sample) => sample.name === name);
      return {
        early: median(own.filter(({ at }) => Math.abs(at - EARLY_MS) < SPAN_MS / 2).map(({ mib }) => mib)),
        late: median(own.filter(({ at }) => at > end - SPAN_MS).map(({ mib }) => mib)),
      };
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
