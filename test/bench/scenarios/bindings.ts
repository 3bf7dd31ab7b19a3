// Bench: the same load with few bindings and with very many in the database.

import { observe } from '../observe.ts';
import type { Latency } from '../percentiles.ts';
import type { Stage } from '../stage.ts';

const SETTLE_MS = 3_000;

export interface Bindings {
  steps: { bindings: number; latency: Latency }[];
  /** Of the 99th percentiles, message to bridge. */
  ratio: number;
  violations: string[];
}

/** Every message is the first of its user, so that nobody is in memory yet: the lookups all go to the database. */
export async function runBindings(
  stage: Stage,
  options: { few: number; many: number; turns: number; perSecond: number },
): Promise<Bindings> {
  const { few, many, turns: count, perSecond } = options;
  await stage.database.collection('bindings').deleteMany({});
  await stage.database.collection('instances').deleteMany({});
  const steps: Bindings['steps'] = [];
  const violations: string[] = [];
  let users = await stage.bindUsers(few, 'wm-few-');
  for (const bindings of [few, many]) {
    if (bindings === many) users = await stage.bindUsers(many - few, 'wm-many-');
    // What the database has left to write of all that isn't what is measured.
    await stage.database.admin().command({ fsync: 1 });
    await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
    const stride = Math.floor(users.length / Math.min(count, users.length));
    const writers = users.filter((_, index) => index % stride === 0).slice(0, count);
    await stage.wecom.ask({ kind: 'open', users: writers, perSecond, count, seed: 11, mark: '' });
    const observed = await observe(stage);
    violations.push(...observed.violations);
    steps.push({ bindings, latency: observed.hops.messageToBridge });
  }
  const [first, last] = steps.map(({ latency }) => latency.p99);
  return { steps, ratio: (last ?? Number.NaN) / (first ?? Number.NaN), violations };
}
