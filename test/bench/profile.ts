// Bench: the costliest functions of a CPU profile that Node wrote, by their own time.
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import type { Table } from './report.ts';

const SHOWN = 40;

interface CpuProfile {
  nodes: { id: number; callFrame: { functionName: string; url: string; lineNumber: number } }[];
  samples: number[];
  /** µs before each sample. */
  timeDeltas: number[];
}

/** @param root which paths are told relative to */
export function summarizeProfiles(folder: string, root: string): Table {
  const byFunction = new Map<string, number>();
  let total = 0;
  for (const file of readdirSync(folder).filter((name) => name.endsWith('.cpuprofile'))) {
    const { nodes, samples, timeDeltas }: CpuProfile = JSON.parse(readFileSync(join(folder, file), 'utf8'));
    const names = new Map(nodes.map(({ id, callFrame }) => [id, nameOf(callFrame, root)]));
    for (const [index, id] of samples.entries()) {
      const name = names.get(id) ?? '?';
      if (name.startsWith('(idle)') || name.startsWith('(program)')) continue;
      const ms = (timeDeltas[index] ?? 0) / 1000;
      total += ms;
      byFunction.set(name, (byFunction.get(name) ?? 0) + ms);
    }
  }
  const costliest = [...byFunction].toSorted(([, a], [, b]) => b - a).slice(0, SHOWN);
  const rows = costliest.map(([name, ms]) => [`${((ms / total) * 100).toFixed(1)} %`, `${Math.round(ms)} ms`, name]);
  return { title: `Own time by function, ${folder}`, head: ['share', 'time', 'function'], rows };
}

function nameOf(frame: CpuProfile['nodes'][number]['callFrame'], root: string): string {
  const { functionName, url, lineNumber } = frame;
  const path = url.startsWith('file://') ? relative(root, new URL(url).pathname).replace(/^.*node_modules\//, '') : url;
  return `${functionName || '(anonymous)'} ${path}${path ? `:${lineNumber + 1}` : ''}`;
}
