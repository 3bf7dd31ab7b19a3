// The benchmark's own arithmetic and what it writes.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { ROOT } from '../support/service-process.ts';
import { drawChart } from './chart.ts';
import { readOptions } from './options.ts';
import { latencyOf } from './percentiles.ts';
import { type Results, tablesOf } from './report.ts';
import { withResults } from './write-docs.ts';

const hundred = Array.from({ length: 100 }, (_, index) => 100 - index);
const results: Results = {
  at: '2026-01-02T03:04:05.000Z',
  isQuick: false,
  machine: 'two cores',
  versions: { node: '26', rabbitmq: '4', mongodb: '8' },
  closed: {
    users: 200,
    turns: 5_000,
    seconds: 10,
    turnsPerSecond: 500,
    latency: latencyOf(hundred),
    sendsPerTurn: 2,
    costs: [
      { name: 'router', cpuMsPerTurn: 1.5, rssMib: 100 },
      { name: 'sender', cpuMsPerTurn: 0.7, rssMib: 100 },
      { name: 'MongoDB', cpuMsPerTurn: 0.9, rssMib: 500 },
    ],
    work: { documents: {}, commands: {}, publishes: { 'sender.mailboxes': 3 }, events: {} },
    violations: [],
  },
};
const aims = (changed: Results) =>
  tablesOf(changed)[0]?.rows.map(([name, , measured, verdict]) => [name, measured, verdict]);

test('a percentile is the nearest rank: the smallest value that so many don’t exceed', () => {
  expect(latencyOf(hundred)).toEqual({ count: 100, p50: 50, p90: 90, p99: 99, max: 100 });
  expect(latencyOf([7])).toEqual({ count: 1, p50: 7, p90: 7, p99: 7, max: 7 });
});

test('aims are judged by what was measured; what was not measured isn’t judged', () => {
  expect(aims(results)).toEqual([
    ['closed loop', '500 turns/s', 'met'],
    ['CPU of the four services per turn', '2.20 ms', 'missed'],
    ['CPU of mongod per turn', '0.90 ms', 'met'],
    ['lost, repeated, reordered, overlapping', '0', 'met'],
  ]);
});

test('where /proc tells nothing, cost is neither met nor missed', () => {
  const closed = results.closed && { ...results.closed, costs: [] };
  expect(aims({ ...results, ...(closed && { closed }) })).toContainEqual([
    'CPU of mongod per turn',
    '–',
    'not measured',
  ]);
});

test('the page keeps everything but what stands between its markers', () => {
  const page = readFileSync(join(ROOT, 'docs', 'performance.md'), 'utf8');
  const written = withResults(page, results);
  expect(written).toContain('| closed loop | ≥ 400 turns/s | 500 turns/s | met |');
  expect(withResults(written, results)).toBe(written);
  expect(written.split('<!--')[0]).toBe(page.split('<!--')[0]);
});

test('the chart is well-formed, with a bar for each process', () => {
  const chart = drawChart(results);
  expect(chart.match(/<rect /g)).toHaveLength(1 + 1 + 3);
  expect(chart.match(/<text /g)?.length).toBe(chart.match(/<\/text>/g)?.length);
  expect(chart).not.toMatch(/NaN|undefined/);
});

test('figures for the docs come from a whole run', () => {
  expect(() => readOptions(['--write-docs', '--quick'])).toThrow(/whole run/);
  expect(() => readOptions(['--only', 'nonsense'])).toThrow(/nonsense/);
  expect(readOptions(['--profile', 'router'])?.only).toEqual(new Set(['closed']));
});
