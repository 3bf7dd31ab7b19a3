// Soak ─▶ the table, and whether the bars are met.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Happened } from './inject.ts';
import type { Machine } from './machine.ts';
import type { MemoryWatch } from './memory.ts';
import { measureRecovery, percentile, type Recovery } from './recovery.ts';
import type { Said } from './users.ts';
import { type Verdict, VIOLATIONS } from './verdict.ts';

const SERVICE_KILL_BAR_MS = 5_000;
const BROKER_KILL_BAR_MS = 15_000;
const MEMORY_BAR = 0.2;
/** Below it a percentile is chance. */
const FEWEST_WAITS = 50;
const MAX_SHOWN = 40;
const MAX_SLOW = 5;

export interface Report {
  table: string;
  /** What is not as it must be, a line each. */
  faults: string[];
}

export function report(options: {
  seed: number;
  durationMs: number;
  machine: Machine;
  said: readonly Said[];
  happened: readonly Happened[];
  verdict: Verdict;
  memory: MemoryWatch;
  logs: string;
}): Report {
  const { machine, said, happened, verdict, memory } = options;
  const { wecom, bridge } = machine;
  const rows: [string, string][] = [];
  const faults: string[] = [];
  const row = (name: string, value: string | number) => rows.push([name, String(value)]);
  const counted = (of: Iterable<string>) => {
    const counts = new Map<string, number>();
    for (const key of of) counts.set(key, (counts.get(key) ?? 0) + 1);
    return (
      [...counts]
        .sort()
        .map(([key, count]) => `${key} ${count}`)
        .join(' · ') || '0'
    );
  };
  const seconds = (ms: number | null) => (ms === null ? 'no sample' : `${(ms / 1000).toFixed(2)} s`);
  const bar = (name: string, { waits, all }: Recovery, barMs: number) => {
    const p99 = percentile(waits, 0.99);
    const longest = seconds(percentile(waits, 1));
    row(`${name}, p99`, `${seconds(p99)} (${waits.length} waits, at most ${longest}; bar ${barMs / 1000} s)`);
    const [allP50, allP99] = [0.5, 0.99].map((share) => seconds(percentile(all, share)));
    row('… with waits for user, WeCom and bridge', `p50 ${allP50}, p99 ${allP99} (${all.length} waits)`);
    if (p99 === null || p99 <= barMs || waits.length < FEWEST_WAITS) return;
    const slow = waits.slice(-MAX_SLOW).filter((wait) => wait.ms > barMs);
    const told = slow.map((wait) => `${wait.said.user} ${wait.said.msgid} ${seconds(wait.ms)}`);
    faults.push(`${name}, p99: ${seconds(p99)} (${told.join(', ')})`);
  };

  row('seed', options.seed);
  row('minutes', (options.durationMs / 60_000).toFixed(1));
  row('customer messages', `${said.length} (${counted(said.map(({ kind }) => kind))})`);
  const kills = happened.filter(({ kind }) => kind === 'kill');
  row('kill -9 of services', `${kills.length} (${counted(kills.map(({ target }) => target))})`);
  const serverKills = happened.filter(({ kind }) => kind === 'kill-server');
  row('kill -9 of servers', counted(serverKills.map(({ target }) => target)));
  const others = happened.filter(({ kind }) => !['kill', 'kill-server', 'network'].includes(kind));
  row('other faults', counted(others.map(({ kind }) => kind)));
  row('network', counted(happened.filter(({ kind }) => kind === 'network').map(({ how }) => how)));
  row('hops met', new Set(happened.filter(({ kind }) => kind === 'network').map(({ target }) => target)).size);
  const hits = wecom.control.faultHits();
  const calls = Object.values(wecom.control.calls()).reduce((sum, { total }) => sum + total, 0);
  row('WeCom faults', `${hits.length} of ${calls} calls (${counted(hits.flatMap(({ kinds }) => kinds))})`);
  const tasks = bridge.control.tasks();
  const spoilt = tasks.filter(({ ack, result }) => ack !== 'accept' || result !== 'ok').length;
  row('bridge tasks', `${tasks.length}, ${spoilt} spoilt, ${bridge.control.counts().repeatedPosts} POSTed again`);
  row('told of a failure', `${verdict.failures}, of which answered late ${verdict.lateReplies}`);
  const refused = wecom.control.refused().filter(({ byFault }) => !byFault);
  row('refused by WeCom', counted(refused.map(({ errcode }) => String(errcode))));

  for (const kind of VIOLATIONS) {
    const found = verdict.violations.filter((violation) => violation.kind === kind);
    row(kind, found.length);
    for (const { user, msgid, what } of found) faults.push(`${kind}: ${user} ${msgid} ${what}`);
  }
  // A code and its claim are the binder's; a killed binder keeps nobody else from an answer.
  const recovery = (moments: number[], isDisturbing: (fault: Happened) => boolean, clearMs: number) =>
    measureRecovery(machine, said, verdict.endings, happened, { moments, isDisturbing, clearMs });
  const afterKill = recovery(
    kills.map(({ from }) => from),
    ({ kind }) => kind !== 'kill' && kind !== 'step-clock' && kind !== 'revoke-tokens',
    SERVICE_KILL_BAR_MS,
  );
  bar('next answer after a kill of a service', afterKill, SERVICE_KILL_BAR_MS);
  const brokerKills = serverKills.filter(({ target }) => target === 'rabbitmq');
  const isOther = ({ kind }: Happened) => !['kill', 'kill-server', 'step-clock', 'revoke-tokens'].includes(kind);
  const afterBroker = recovery(
    brokerKills.map(({ to }) => to),
    isOther,
    10_000,
  );
  bar('next answer after the broker is back', afterBroker, BROKER_KILL_BAR_MS);
  const down = brokerKills.map(({ from, to }) => to - from);
  if (down.length > 0) row('broker away after kill -9', `${(Math.max(...down) / 1000).toFixed(1)} s at most`);

  for (const name of ['ingest', 'binder', 'router', 'sender'] as const) {
    const rss = memory.of(name);
    const told = rss
      ? `${rss.early.toFixed(0)} MiB at 3 min, ${rss.late.toFixed(0)} MiB at the end`
      : 'no process lived long';
    row(`RSS of ${name}`, told);
    if (rss && rss.late > rss.early * (1 + MEMORY_BAR)) faults.push(`RSS of ${name}: ${told}`);
  }
  const bugs = findBugs(options.logs);
  row('unhandled rejections and other bugs in logs', bugs.length);
  faults.push(...bugs.map((line) => `log: ${line.slice(0, 400)}`));

  const width = Math.max(...rows.map(([name]) => name.length));
  const table = rows.map(([name, value]) => `| ${name.padEnd(width)} | ${value} |`);
  const shown = faults.slice(0, MAX_SHOWN).map((fault) => `! ${fault}`);
  const more = faults.length > MAX_SHOWN ? [`! … and ${faults.length - MAX_SHOWN} more`] : [];
  const lines = [
    `| ${'what'.padEnd(width)} | found |`,
    `| ${'-'.repeat(width)} | --- |`,
    ...table,
    '',
    ...shown,
    ...more,
  ];
  return { table: lines.join('\n'), faults };
}

/** Log lines that tell of a bug of ours: fatal ones, and errors that have no code of their own. */
function findBugs(logs: string): string[] {
  return readdirSync(logs)
    .filter((file) => /^(ingest|binder|router|sender)-\d\.log$/.test(file))
    .flatMap((file) =>
      readFileSync(join(logs, file), 'utf8')
        .split('\n')
        .map((line) => `${file} ${line}`),
    )
    .filter((line) => /"level":60|"errorCode":"unexpected"|unhandled|uncaught|^\S+ [^{]*Error:/i.test(line));
}
