// Bench: how many turns a second go through when each customer writes again as soon as the answer is there.

import { eventually } from '../../support/eventually.ts';
import { observe } from '../observe.ts';
import { type Latency, latencyOf } from '../percentiles.ts';
import { type Stage, sentCount } from '../stage.ts';
import { now } from '../turns.ts';
import { type Counts, commandCounts, difference, documentCounts, eventCounts, publishCounts } from '../work-done.ts';

export interface ClosedLoop {
  users: number;
  turns: number;
  seconds: number;
  turnsPerSecond: number;
  latency: Latency;
  sendsPerTurn: number;
  /** CPU ms per turn and RSS at the end, by process. */
  costs: { name: string; cpuMsPerTurn: number; rssMib: number }[];
  /** Per turn: documents by collection and kind, round trips by command, messages by exchange, events by mailbox. */
  work: Record<'documents' | 'commands' | 'publishes' | 'events', Record<string, number>>;
  violations: string[];
}

export interface ClosedLoopOptions {
  users: string[];
  warmUpMs: number;
  measureMs: number;
}

const SETTLED_WITHIN_MS = 30_000;
const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

export async function runClosedLoop(stage: Stage, options: ClosedLoopOptions): Promise<ClosedLoop> {
  const { users, warmUpMs, measureMs } = options;
  const { database } = stage;
  const publishedBefore = await publishCounts(stage);
  const eventsBefore = await eventCounts(stage);
  await stage.wecom.ask({ kind: 'closed', users });
  await wait(warmUpMs);
  // On a machine that is slow the first wave of messages takes long: what is measured begins behind it.
  await eventually('every customer answered twice', async () => (await sentCount(stage)) >= 4 * users.length, {
    withinMs: SETTLED_WITHIN_MS,
    everyMs: 200,
  }).catch(() => undefined); // then it is measured as it is
  const from = now();
  const costsBefore = stage.costs();
  const documentsBefore = await documentCounts(database);
  const commandsBefore = await commandCounts(database);
  await wait(measureMs);
  const to = now();
  const costs = stage.costs();
  const documents = difference(documentsBefore, await documentCounts(database));
  const commands = difference(commandsBefore, await commandCounts(database));

  const { turns, sends, violations } = await observe(stage);
  const measured = turns.filter(({ answeredAt }) => answeredAt !== null && answeredAt > from && answeredAt <= to);
  const publishes = difference(publishedBefore, await publishCounts(stage));
  const events = difference(eventsBefore, await eventCounts(stage));
  const perMeasured = perTurn(measured.length);
  const perAll = perTurn(turns.length);
  return {
    users: users.length,
    turns: measured.length,
    seconds: (to - from) / 1000,
    turnsPerSecond: (measured.length * 1000) / (to - from),
    latency: latencyOf(measured.map(({ answeredAt, intendedAt }) => (answeredAt ?? 0) - intendedAt)),
    sendsPerTurn: sends / turns.length,
    costs: [...costs].map(([name, { cpuMs, rssMib }]) => ({
      name,
      cpuMsPerTurn: (cpuMs - (costsBefore.get(name)?.cpuMs ?? 0)) / measured.length,
      rssMib,
    })),
    work: {
      documents: perMeasured(documents),
      commands: perMeasured(commands),
      publishes: perAll(publishes),
      events: perAll(events),
    },
    violations,
  };
}

const perTurn = (turns: number) => (counts: Counts) =>
  Object.fromEntries([...counts].map(([name, count]) => [name, count / turns]));
