// Bench: one, two, three replicas of router and sender under one closed loop that never pauses.
import { createManagementApi } from '@pipeline/broker';
import type { ServiceName } from '../../support/service-process.ts';
import { observe } from '../observe.ts';
import type { Stage } from '../stage.ts';
import { now } from '../turns.ts';

const MAX_REPLICAS = 3;
const FAIR_RATIO = 1.5;
const FAIR_WITHIN_MS = 10_000;
const POLL_MS = 250;
const WARM_UP_MS = 2_000;

const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Partitions that each replica reads, by the broker's word, in order of start. */
export type Shares = Record<'router' | 'sender', number[]>;

export interface Replicas {
  steps: {
    replicas: number;
    turnsPerSecond: number;
    shares: Shares;
    /** From the new replicas' readiness until max/min ≤ 1.5; null: not within 10 s. */
    fairAfterMs: number | null;
  }[];
  turns: number;
  violations: string[];
}

export async function runReplicas(stage: Stage, options: { users: string[]; measureMs: number }): Promise<Replicas> {
  await stage.stop('router', 'sender');
  const spans: { from: number; to: number }[] = [];
  const steps: Omit<Replicas['steps'][number], 'turnsPerSecond'>[] = [];
  for (let replicas = 1; replicas <= MAX_REPLICAS; replicas += 1) {
    await Promise.all([stage.start('router'), stage.start('sender')]);
    if (replicas === 1) await stage.wecom.ask({ kind: 'closed', users: options.users });
    // As a gateway in front of all routers would do it.
    await stage.bridge.ask({ kind: 'spread', origins: (stage.running.get('router') ?? []).map(({ url }) => url) });
    const fairAfterMs = await untilFair(stage);
    await wait(WARM_UP_MS);
    const from = now();
    await wait(options.measureMs);
    spans.push({ from, to: now() });
    steps.push({ replicas, shares: await sharesOf(stage), fairAfterMs });
  }
  const { turns, violations } = await observe(stage);
  await stage.bridge.ask({ kind: 'spread', origins: [] });
  await stage.stop('router', 'sender');
  await Promise.all([stage.start('router'), stage.start('sender')]);
  const rate = ({ from, to }: { from: number; to: number }) =>
    (turns.filter(({ answeredAt }) => answeredAt !== null && answeredAt > from && answeredAt <= to).length * 1000) /
    (to - from);
  return {
    steps: steps.map((step, index) => ({ ...step, turnsPerSecond: rate(spans[index] ?? { from: 0, to: 0 }) })),
    turns: turns.length,
    violations,
  };
}

async function untilFair(stage: Stage): Promise<number | null> {
  const since = now();
  while (now() - since < FAIR_WITHIN_MS) {
    const shares = await sharesOf(stage);
    if (Object.values(shares).every((each) => ratio(each) <= FAIR_RATIO)) return now() - since;
    await wait(POLL_MS);
  }
  return null;
}

/** Most by fewest partitions of a replica. */
export function ratio(shares: readonly number[]): number {
  return Math.max(...shares) / Math.min(...shares);
}

/** Consumer tags name the process that reads. */
async function sharesOf({ servers, running }: Stage): Promise<Shares> {
  type Consumer = { consumer_tag: string; active: boolean; queue: { name: string } };
  const consumers = await createManagementApi(servers.managementUrl).get<Consumer[]>(`/consumers/${servers.vhost}`);
  const of = (name: ServiceName) =>
    (running.get(name) ?? []).map((service) => {
      const replica = new RegExp(`^${name}@.*:${service.pid()}\\b`);
      return consumers.filter(
        ({ consumer_tag: tag, active, queue }) =>
          active && replica.test(tag) && queue.name.startsWith(`${name}.mailbox`),
      ).length;
    });
  return { router: of('router'), sender: of('sender') };
}
