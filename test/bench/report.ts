// Bench: results as tables, the same on the terminal and in the docs.
import { cpus, totalmem } from 'node:os';
import type { Latency } from './percentiles.ts';
import type { Bindings } from './scenarios/bindings.ts';
import type { ClosedLoop } from './scenarios/closed-loop.ts';
import type { OpenLoop } from './scenarios/open-loop.ts';
import type { OpenTurns } from './scenarios/open-turns.ts';
import { type Replicas, ratio } from './scenarios/replicas.ts';
import type { Yardsticks } from './scenarios/yardsticks.ts';

export interface Results {
  at: string;
  isQuick: boolean;
  machine: string;
  versions: { node: string; rabbitmq: string; mongodb: string };
  yardsticks?: Yardsticks;
  closed?: ClosedLoop;
  open?: OpenLoop[];
  openTurns?: OpenTurns;
  replicas?: Replicas;
  bindings?: Bindings;
}

export interface Table {
  title: string;
  head: string[];
  rows: string[][];
}

export function describeMachine(): string {
  const [first] = cpus();
  return `${cpus().length} × ${first?.model.trim()}, ${Math.round(totalmem() / 2 ** 30)} GiB, ${process.platform}`;
}

const SERVICES = ['ingest', 'binder', 'router', 'sender'];

/** Everything that was seen and must not be. */
export function violationsOf(results: Results): string[] {
  const { yardsticks, closed, open = [], openTurns, replicas, bindings } = results;
  return [yardsticks, closed, ...open, openTurns, replicas, bindings].flatMap((part) => part?.violations ?? []);
}

export function tablesOf(results: Results): Table[] {
  const { yardsticks, closed, open, openTurns, replicas, bindings } = results;
  const tables: Table[] = [{ title: 'Aims', head: ['aim', 'bar', 'measured', ''], rows: aims(results) }];
  if (closed || yardsticks) tables.push(throughput(results));
  if (open) tables.push(...latencies(open));
  if (closed) tables.push(cost(closed), work(closed));
  if (openTurns) {
    const { open: count, routerMibBefore, routerMibOpen, routerHeapMib, start } = openTurns;
    const memory = [`${number(routerMibBefore)} → ${number(routerMibOpen)}`, number(routerHeapMib)];
    const row = [integer(count), ...memory, ...latencyCells(start)];
    const head = ['turns open', 'router RSS, MiB', 'of that heap', 'newcomers', ...PERCENTILES];
    tables.push({ title: 'Turns open at once, and newcomers meanwhile (message → bridge, ms)', head, rows: [row] });
  }
  if (bindings) {
    const rows = bindings.steps.map(({ bindings: count, latency }) => [integer(count), ...latencyCells(latency)]);
    tables.push({ title: 'Bindings (message → bridge, ms)', head: ['bindings', 'turns', ...PERCENTILES], rows });
  }
  if (replicas) {
    const head = ['replicas of router and sender', 'turns/s', 'router partitions', 'sender partitions', 'spread after'];
    const rows = replicas.steps.map(({ replicas: count, turnsPerSecond, shares, fairAfterMs }) => [
      integer(count),
      integer(turnsPerSecond),
      shares.router.join(' / '),
      shares.sender.join(' / '),
      fairAfterMs === null ? 'not within 10 s' : `${number(fairAfterMs / 1000)} s`,
    ]);
    tables.push({ title: 'Replicas, added while customers write', head, rows });
  }
  return tables.filter(({ rows }) => rows.length > 0);
}

const PERCENTILES = ['p50', 'p90', 'p99', 'max'];

function aims(results: Results): string[][] {
  const { closed, open = [], openTurns, replicas, bindings } = results;
  const rows: string[][] = [];
  const aim = (name: string, bar: number, measured: number | null | undefined, unit: string, isMore = false) => {
    if (measured === undefined) return;
    const limit = `${isMore ? '≥' : '≤'} ${bar} ${unit}`;
    const isMet = measured !== null && (isMore ? measured >= bar : measured <= bar);
    if (measured === null) rows.push([name, limit, '–', 'not measured']);
    else rows.push([name, limit, `${number(measured)} ${unit}`, isMet ? 'met' : 'missed']);
  };
  aim('closed loop', 400, closed?.turnsPerSecond, 'turns/s', true);
  const at50 = open.find(({ trigger, perSecond }) => trigger === 'doorbell' && perSecond === 50)?.hops;
  aim('50 turns/s: doorbell → bridge, p50', 15, at50?.messageToBridge.p50, 'ms');
  aim('50 turns/s: doorbell → bridge, p99', 60, at50?.messageToBridge.p99, 'ms');
  aim('50 turns/s: callback → send_msg, p50', 10, at50?.callbackToSend.p50, 'ms');
  aim('50 turns/s: callback → send_msg, p99', 50, at50?.callbackToSend.p99, 'ms');
  const cpu = closed && cpuPerTurn(closed);
  aim('CPU of the four services per turn', 2, cpu?.services, 'ms');
  aim('CPU of mongod per turn', 1, cpu?.mongodb, 'ms');
  const open10k = openTurns && `${integer(openTurns.open)} open turns`;
  aim(`${open10k}: router RSS`, 300, openTurns?.routerMibOpen, 'MiB');
  aim(`${open10k}: a newcomer’s start, p99`, 100, openTurns?.start.p99, 'ms');
  const [few, many] = bindings?.steps ?? [];
  aim(`p99 with ${integer(many?.bindings)} bindings by that with ${integer(few?.bindings)}`, 1.5, bindings?.ratio, '×');
  for (const { replicas: count, shares } of replicas?.steps.slice(1) ?? []) {
    aim(
      `${count} replicas: partitions, most by fewest`,
      1.5,
      Math.max(ratio(shares.router), ratio(shares.sender)),
      '×',
    );
  }
  const violations = violationsOf(results).length;
  rows.push(['lost, repeated, reordered, overlapping', '0', integer(violations), violations === 0 ? 'met' : 'missed']);
  return rows;
}

/** Null where /proc told nothing. */
function cpuPerTurn({ costs }: ClosedLoop): { services: number | null; mongodb: number | null } {
  const services = costs.filter(({ name }) => SERVICES.includes(name));
  const mongodb = costs.find(({ name }) => name === 'MongoDB');
  const sum = services.reduce((total, { cpuMsPerTurn }) => total + cpuMsPerTurn, 0);
  return { services: services.length > 0 ? sum : null, mongodb: mongodb?.cpuMsPerTurn ?? null };
}

function throughput({ yardsticks, closed }: Results): Table {
  const rows: string[][] = [];
  if (closed) {
    const { users, turnsPerSecond, latency, sendsPerTurn } = closed;
    const note = `${users} customers, ${number(sendsPerTurn)} sends a turn, p50 ${number(latency.p50)} ms`;
    rows.push(['the pipeline, closed loop', `${integer(turnsPerSecond)} turns/s`, note]);
  }
  if (yardsticks) {
    const { httpLoop, broker, databaseWrite } = yardsticks;
    const nothing = `${httpLoop.users} customers, no broker, no database, no guarantee`;
    rows.push(['only HTTP between the simulators', `${integer(httpLoop.turnsPerSecond)} turns/s`, nothing]);
    for (const { queues, messagesPerSecond, bytes, confirm } of broker) {
      const where = queues === 1 ? 'one quorum queue' : `${queues} quorum queues behind a hash`;
      const note = `publish, confirm, consume, ack; ${bytes} bytes; confirm p50 ${number(confirm.p50)} ms`;
      rows.push([`the broker alone, ${where}`, `${integer(messagesPerSecond)} messages/s`, note]);
    }
    const { p50, p99 } = databaseWrite;
    const writes = 'one small document, majority, one after the other';
    rows.push(['a write to MongoDB', `p50 ${number(p50)} ms, p99 ${number(p99)} ms`, writes]);
  }
  return { title: 'Throughput, and yardsticks of the same run', head: ['', 'measured', 'how'], rows };
}

function latencies(open: OpenLoop[]): Table[] {
  const rows = open.flatMap(({ trigger, perSecond, turns, hops }) =>
    Object.entries({
      [`${trigger === 'doorbell' ? 'doorbell' : 'message'} → bridge`]: hops.messageToBridge,
      'sync_msg → bridge': hops.pageToBridge,
      'callback → send_msg': hops.callbackToSend,
      'message → answer, agent’s 150 ms included': hops.messageToAnswer,
    }).map(([hop, latency]) => [`${perSecond}/s, ${trigger}`, hop, integer(turns), ...latencyCells(latency).slice(1)]),
  );
  return [{ title: 'Latency, open loop, ms', head: ['load', 'hop', 'turns', ...PERCENTILES], rows }];
}

function cost({ costs }: ClosedLoop): Table {
  const rows = costs.map(({ name, cpuMsPerTurn, rssMib }) => [name, number(cpuMsPerTurn), integer(rssMib)]);
  return { title: 'Cost, closed loop', head: ['process', 'CPU ms per turn', 'RSS, MiB'], rows };
}

function work({ work: done }: ClosedLoop): Table {
  const rows = Object.entries(done).map(([kind, counts]) => [
    kind,
    number(Object.values(counts).reduce((sum, count) => sum + count, 0)),
    Object.entries(counts)
      .filter(([, count]) => count >= 0.01)
      .map(([name, count]) => `${name} ${number(count)}`)
      .join(' · '),
  ]);
  return { title: 'Work per turn, closed loop', head: ['', 'sum', 'of these'], rows };
}

const latencyCells = ({ count, p50, p90, p99, max }: Latency) => [integer(count), ...[p50, p90, p99, max].map(number)];

function number(value: number | null | undefined): string {
  if (value === null || value === undefined || Number.isNaN(value)) return '–';
  return value >= 100 ? integer(value) : value.toFixed(value >= 10 ? 1 : 2);
}

function integer(value: number | undefined): string {
  return value === undefined || Number.isNaN(value) ? '–' : Math.round(value).toLocaleString('en');
}

/** For a terminal: columns in line. */
export function renderText({ title, head, rows }: Table): string {
  const widths = head.map((_, column) => Math.max(...[head, ...rows].map((row) => (row[column] ?? '').length)));
  const line = (row: string[]) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd();
  return `\n${title}\n${[head, ...rows].map((row) => `  ${line(row)}`).join('\n')}\n`;
}

export function renderMarkdown({ title, head, rows }: Table): string {
  const line = (cells: string[]) => `| ${cells.join(' | ')} |`;
  return `### ${title}\n\n${[line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n')}\n`;
}
