// npm start, npm test ─▶ .local/run: what was started, so that the next start can end what a killed one left.
import { execFileSync } from 'node:child_process';
import { linkSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** In this order leftovers are ended: whoever uses something goes before it. */
const KINDS = ['tool', 'service', 'simulator', 'server'];
const GRACE_MS = { tool: 3000, service: 12_000, simulator: 3000, server: 15_000 };
const POLL_MS = 50;

export type ProcessRecord = {
  name: string;
  kind: 'launcher' | 'tool' | 'service' | 'simulator' | 'server';
  pid: number;
  identity: string;
  command: string;
};

/**
 * Tells one life of a pid from another: its start time, and on Linux the boot as well. Undefined when no such process
 * runs (a zombie doesn't). A recycled pid has another identity, so it is never ended by mistake.
 */
export function identityOf(pid: number): string | undefined {
  try {
    if (process.platform === 'linux') {
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
      // The command stands in brackets and may hold brackets itself; state is field 3, start time field 22.
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      if (fields[0] === 'Z' || fields[0] === 'X') return undefined;
      return `${readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()}:${fields[19]}`;
    }
    const started = execFileSync('ps', ['-o', 'stat=,lstart=', '-p', String(pid)], { encoding: 'utf8' }).trim();
    return started === '' || started.startsWith('Z') ? undefined : started.replace(/^\S+\s+/, '');
  } catch {
    return undefined; // no such process
  }
}

export const isRunning = (record: ProcessRecord) => identityOf(record.pid) === record.identity;

export type Records = ReturnType<typeof createRecords>;

/** @param directory one file per process, so that no write has to read first */
export function createRecords(directory: string) {
  mkdirSync(directory, { recursive: true });
  const fileOf = (name: string) => join(directory, `${name}.json`);

  return {
    directory,
    add(name: string, kind: ProcessRecord['kind'], pid: number, command: string, exclusive = false) {
      const identity = identityOf(pid);
      if (identity === undefined) return; // ended already
      // Written aside first: whoever reads a record finds all of it, and only one process can take an exclusive name.
      const draft = join(directory, `${name}.${process.pid}.draft`);
      writeFileSync(draft, `${JSON.stringify({ name, kind, pid, identity, command })}\n`);
      try {
        if (exclusive) linkSync(draft, fileOf(name));
        else renameSync(draft, fileOf(name));
      } finally {
        rmSync(draft, { force: true });
      }
    },
    remove: (name: string) => rmSync(fileOf(name), { force: true }),
    list: () => readRecords(directory),
  };
}

/** @returns what can be read; */
export function readRecords(directory: string): ProcessRecord[] {
  const records: ProcessRecord[] = [];
  let names: string[];
  try {
    names = readdirSync(directory);
  } catch {
    return records; // nothing was ever started here
  }
  for (const name of names.filter((entry) => entry.endsWith('.json'))) {
    try {
      records.push(JSON.parse(readFileSync(join(directory, name), 'utf8')));
    } catch {
      // it ended in this moment
    }
  }
  return records;
}

/**
 * Ends the processes that an earlier, killed run left: services before servers, politely first.
 * @param onFound told before they are ended, when there are any
 */
export async function endLeftovers(records: ReturnType<typeof createRecords>, onFound: (names: string[]) => void) {
  const found = records.list().filter((record) => record.kind !== 'launcher' && isRunning(record));
  if (found.length > 0) onFound(found.map((record) => record.name));
  for (const kind of KINDS) {
    const left = records.list().filter((record) => record.kind === kind);
    const running = left.filter(isRunning);
    await Promise.all(running.map((record) => endProcess(record, GRACE_MS[kind as 'tool'])));
    for (const record of left) records.remove(record.name);
  }
}

async function endProcess(record: ProcessRecord, graceMs: number) {
  signalGroup(record.pid, 'SIGTERM');
  for (let waited = 0; waited < graceMs && isRunning(record); waited += POLL_MS) await sleep(POLL_MS);
  if (!isRunning(record)) return;
  signalGroup(record.pid, 'SIGKILL');
  for (let waited = 0; waited < 2000 && isRunning(record); waited += POLL_MS) await sleep(POLL_MS);
}

/** Every process we start leads a group of its own; a group that is gone needs nothing. */
export function signalGroup(pid: number, signal: NodeJS.Signals) {
  try {
    process.kill(-pid, signal);
  } catch {
    // ESRCH: it ended in the meantime
  }
}
