// Bench ─▶ docs: the tables between two markers, so that every figure there comes from a run.
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { drawChart } from './chart.ts';
import { type Results, renderMarkdown, tablesOf } from './report.ts';

const BEGIN = '<!-- written by npm run bench: begin -->';
const END = '<!-- written by npm run bench: end -->';

export function writeDocs(root: string, results: Results): void {
  const file = join(root, 'docs', 'performance.md');
  writeFileSync(file, withResults(readFileSync(file, 'utf8'), results));
  // Tables in line, as `npm run check` wants them.
  execFileSync(process.execPath, [join(root, 'node_modules/@biomejs/biome/bin/biome'), 'format', '--write', file]);
  writeFileSync(join(root, 'docs', 'performance.svg'), drawChart(results));
}

/** @throws Error if the page has lost its markers */
export function withResults(page: string, results: Results): string {
  const [before, rest] = page.split(BEGIN);
  const after = rest?.split(END)[1];
  if (before === undefined || after === undefined) throw new Error(`docs/performance.md: ${BEGIN} … ${END} is missing`);
  const { at, machine, versions } = results;
  const { node, rabbitmq, mongodb } = versions;
  const origin = `Measured ${at.slice(0, 10)} on ${machine}; Node ${node}, RabbitMQ ${rabbitmq}, MongoDB ${mongodb}.`;
  const tables = tablesOf(results).map(renderMarkdown).join('\n');
  return `${before}${BEGIN}\n\n${origin}\n\n![Throughput, latency and cost](performance.svg)\n\n${tables}\n${END}${after}`;
}
