// Bench: what it can be told on the command line.
import { parseArgs } from 'node:util';

export const scenarioNames = ['yardsticks', 'closed', 'open', 'open-turns', 'replicas', 'bindings'] as const;
export type ScenarioName = (typeof scenarioNames)[number];

export const HELP = `npm run bench -- [options]

  --quick            everything much shorter, in about two minutes: to see that it works, not for figures
  --only a,b         only these of ${scenarioNames.join(', ')}
  --users N          customers of the closed loop (200)
  --json FILE        writes all results as JSON
  --write-docs       puts the results into docs/performance.md and docs/performance.svg
  --profile PROCESS  CPU profile of ingest, binder, router, sender, wecom or bridge (the simulators) in the closed loop,
                     its costliest functions printed

Servers come from where npm test has them: INFRA=env, docker or local. BENCH_CPU_PROF=DIR makes all of these write CPU
profiles there, in any scenario.`;

export interface Options {
  isQuick: boolean;
  only: ReadonlySet<ScenarioName>;
  users: number;
  json: string | undefined;
  isForDocs: boolean;
  profile: string | undefined;
}

const PROFILED = ['ingest', 'binder', 'router', 'sender', 'wecom', 'bridge'];

/** @returns null when only help was asked for @throws Error that says what is wrong */
export function readOptions(args: string[]): Options | null {
  const { values } = parseArgs({
    args,
    options: {
      help: { type: 'boolean', default: false },
      quick: { type: 'boolean', default: false },
      only: { type: 'string' },
      users: { type: 'string', default: '200' },
      json: { type: 'string' },
      'write-docs': { type: 'boolean', default: false },
      profile: { type: 'string' },
    },
  });
  if (values.help) return null;
  const { profile } = values;
  if (profile !== undefined && !PROFILED.includes(profile))
    throw new Error(`--profile: none of ${PROFILED.join(', ')}`);
  const wanted = values.only?.split(',') ?? (profile === undefined ? scenarioNames : ['closed']);
  const unknown = wanted.filter((name) => !scenarioNames.some((known) => known === name));
  if (unknown.length > 0) throw new Error(`--only: ${unknown.join(', ')} is none of ${scenarioNames.join(', ')}`);
  const users = Number(values.users);
  if (!Number.isInteger(users) || users < 1) throw new Error('--users: must be a whole number');
  if (values['write-docs'] && (values.only !== undefined || profile !== undefined || values.quick))
    throw new Error('--write-docs: figures for the docs come from a whole run');
  return {
    isQuick: values.quick,
    only: new Set(wanted as ScenarioName[]),
    users,
    json: values.json,
    isForDocs: values['write-docs'],
    profile,
  };
}
