// Soak ─▶ what goes wrong when: the whole list follows from the seed.
import { createRandom } from '../../simulators/wecom/platform/random.ts';

export type Fault = { atMs: number } & (
  | { kind: 'kill'; target: string }
  | { kind: 'kill-server'; target: 'rabbitmq' | 'mongodb' }
  | { kind: 'freeze'; target: string; forMs: number }
  | { kind: 'step-clock'; target: string }
  | { kind: 'network'; target: string; how: 'cut' | 'silent' | 'silent up' | 'silent down' | 'refused'; forMs: number }
  | { kind: 'memory-alarm'; forMs: number }
  | { kind: 'full-queues'; target: 'router' | 'sender'; forMs: number }
  | { kind: 'revoke-tokens' }
  | { kind: 'rate-limit' }
);

/** A storm, then calm but for kills of services, then a broker killed: the calm is when recovery can be measured. */
export const CYCLE_MS = 100_000;
const STORM_MS = 50_000;
const BROKER_KILL_MS = 75_000;
const KILL_EVERY_MS = 3_300;

/** A run this long spares one replica of each service its kills towards the end: memory can be watched only in what lives. */
const SPARING_RUN_MS = 16 * 60_000;
const SPARED_LAST_MS = 8 * 60_000;
export const isSpared = (label: string) => label.endsWith('-1');

const NETWORK = ['cut', 'cut', 'silent', 'silent up', 'silent down', 'refused'] as const;

export interface ScheduleOptions {
  seed: number;
  durationMs: number;
  /** `router-1` … */
  services: string[];
  hops: string[];
  /** Whether there are servers that may be killed and starved. */
  ownsServers: boolean;
}

export function planFaults({ seed, durationMs, services, hops, ownsServers }: ScheduleOptions): Fault[] {
  const random = createRandom(seed);
  const between = (from: number, to: number) => Math.round(from + random() * (to - from));
  const oneOf = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;
  const faults: Fault[] = [];
  // The first goes soon: a short run shall have met all kinds.
  const sparedFrom = durationMs < SPARING_RUN_MS ? durationMs : durationMs - SPARED_LAST_MS;
  const unspared = services.filter((label) => !isSpared(label));
  for (let at = between(1_000, 3_000); at < durationMs; at += between(KILL_EVERY_MS / 2, (KILL_EVERY_MS * 3) / 2))
    faults.push({ atMs: at, kind: 'kill', target: oneOf(at < sparedFrom ? services : unspared) });
  const doubled = services.filter((label) => services.some((other) => other !== label && isSameName(label, other)));
  for (let cycle = 0; cycle * CYCLE_MS < durationMs; cycle++) {
    const start = cycle * CYCLE_MS;
    const inStorm = (lengthMs: number) => start + between(0, STORM_MS - lengthMs);
    for (let at = start + between(0, 4_000); at < start + STORM_MS - 6_000; at += between(2_000, 6_000))
      faults.push({ atMs: at, kind: 'network', target: oneOf(hops), how: oneOf(NETWORK), forMs: between(500, 6_000) });
    // One callback address dead for 20 s.
    faults.push({ atMs: inStorm(20_000), kind: 'network', target: 'bridge → router', how: 'refused', forMs: 20_000 });
    if (doubled.length > 0)
      faults.push({ atMs: start + between(0, 15_000), kind: 'freeze', target: oneOf(doubled), forMs: 30_000 });
    for (let count = 0; count < 4; count++)
      faults.push({ atMs: inStorm(0), kind: 'step-clock', target: oneOf(services) });
    for (let count = 0; count < 2; count++) faults.push({ atMs: inStorm(0), kind: 'revoke-tokens' });
    const target = cycle % 2 === 0 ? 'router' : 'sender';
    faults.push({ atMs: inStorm(12_000), kind: 'full-queues', target, forMs: between(5_000, 12_000) });
    if (cycle % 4 === 1) faults.push({ atMs: start, kind: 'rate-limit' });
    if (!ownsServers) continue;
    faults.push({ atMs: inStorm(5_000), kind: 'kill-server', target: 'mongodb' });
    if (cycle % 2 === 0) faults.push({ atMs: inStorm(12_000), kind: 'memory-alarm', forMs: between(4_000, 10_000) });
    else faults.push({ atMs: inStorm(15_000), kind: 'kill-server', target: 'rabbitmq' });
    faults.push({ atMs: start + BROKER_KILL_MS, kind: 'kill-server', target: 'rabbitmq' });
  }
  return faults.filter(({ atMs }) => atMs < durationMs).sort((a, b) => a.atMs - b.atMs);
}

const isSameName = (a: string, b: string) => a.split('-')[0] === b.split('-')[0];
