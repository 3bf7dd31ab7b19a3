// Soak ─▶ one run: everybody is bound, writes while things go wrong, and is answered; then it is held against the bars.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { eventually } from '../../support/eventually.ts';
import { createInjector } from './inject.ts';
import { findLeftovers } from './leftovers.ts';
import { startMachine } from './machine.ts';
import { watchMemory } from './memory.ts';
import { behave, misbehave } from './misbehaviour.ts';
import type { Owner, OwnServers } from './owned.ts';
import { type Report, report } from './report.ts';
import { planFaults } from './schedule.ts';
import { NUDGE_EVERY_MS, settle } from './settle.ts';
import { createUsers } from './users.ts';
import { findUnanswered, judge } from './verdict.ts';

const SETTLE_MS = 180_000;
const TIDY_MS = 30_000;

export interface RunOptions {
  seed: number;
  durationMs: number;
  users: number;
  /** Customer messages a minute, all users together. */
  perMinute: number;
  partitions: number;
  owner: Owner;
  servers: { amqpUrl: string; managementUrl: string; mongoUri: string };
  /** The same, if they may be killed. */
  ownServers: OwnServers | null;
  /** Where everything that explains a violation is written. */
  logs: string;
  say(line: string): void;
}

export async function runSoak(options: RunOptions): Promise<Report> {
  const { seed, durationMs, ownServers, logs, say } = options;
  const machine = await startMachine(options);
  try {
    const users = createUsers({ machine, count: options.users, seed, perMinute: options.perMinute });
    await users.bindAll();
    await eventually('everybody is bound', () => findUnanswered(machine, users.said).length === 0, {
      withinMs: 60_000,
      everyMs: 200,
    });
    say(`${options.users} users are bound; ${Math.round(durationMs / 1000)} s of faults begin`);

    const services = machine.replicas.map(({ label }) => label);
    const hops = machine.hops.map(({ name }) => name);
    const injector = createInjector(machine, ownServers);
    const memory = watchMemory(machine);
    misbehave(machine, seed);
    users.start();
    injector.begin(planFaults({ seed, durationMs, services, hops, ownsServers: ownServers !== null }));
    const progress = setInterval(() => {
      const open = findUnanswered(machine, users.said).length;
      say(`${users.said.length} messages, ${injector.happened.length} faults, ${open} messages open`);
    }, 30_000);
    await new Promise((resolve) => setTimeout(resolve, durationMs));
    clearInterval(progress);

    say('the faults end, everybody is to be answered');
    await users.stop();
    await injector.end();
    behave(machine);
    memory.stop();
    const settled = await settle(machine, users, SETTLE_MS);
    say(settled ? 'all is answered' : 'not all is answered');
    // What is answered is also to be put away; a late reply may wait for its user's next message.
    let nudgedAt = Number.NEGATIVE_INFINITY;
    const isTidy = async () => {
      const left = await look();
      if (performance.now() - nudgedAt > NUDGE_EVERY_MS) {
        nudgedAt = performance.now();
        users.nudge(left.map(({ user }) => user.slice(user.indexOf(':') + 1)));
      }
      return left.length === 0;
    };
    const wait = { withinMs: settled ? TIDY_MS : 1, everyMs: 500 };
    const leftovers = await eventually('nothing is left', isTidy, wait).then(() => [], look);
    const verdict = judge(machine, users.said, injector.happened);
    verdict.violations.push(...leftovers);
    await Promise.all(machine.replicas.map(({ service }) => service.stop()));
    const found = report({ ...options, machine, said: users.said, happened: injector.happened, verdict, memory });
    writeFileSync(join(logs, 'report.txt'), `${found.table}\n`);
    writeJournal();
    return found;

    function look() {
      return findLeftovers(machine, users.ids);
    }

    function writeJournal() {
      const { wecom, bridge } = machine;
      const lists = {
        faults: injector.happened,
        said: users.said,
        sent: wecom.control.sent(),
        refused: wecom.control.refused(),
        hits: wecom.control.faultHits(),
        tasks: bridge.control.tasks(),
        violations: verdict.violations,
      };
      for (const [name, list] of Object.entries(lists))
        writeFileSync(join(logs, `${name}.jsonl`), list.map((one) => `${JSON.stringify(one)}\n`).join(''));
    }
  } finally {
    await machine.stop();
  }
}
