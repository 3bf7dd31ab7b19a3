// npm run bench: starts the system, runs one scenario after the other, and tells what was measured.
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../support/service-process.ts';
import { observe } from './observe.ts';
import { HELP, type Options, readOptions, type ScenarioName } from './options.ts';
import { canMeasure } from './process-cost.ts';
import { summarizeProfiles } from './profile.ts';
import { describeMachine, type Results, renderText, tablesOf, violationsOf } from './report.ts';
import { runBindings } from './scenarios/bindings.ts';
import { runClosedLoop } from './scenarios/closed-loop.ts';
import { runOpenLoop } from './scenarios/open-loop.ts';
import { runOpenTurns } from './scenarios/open-turns.ts';
import { runReplicas } from './scenarios/replicas.ts';
import { runYardsticks } from './scenarios/yardsticks.ts';
import { openStage, type Stage } from './stage.ts';
import { writeDocs } from './write-docs.ts';

const SHOWN_VIOLATIONS = 20;

/** How long and how many: whole, quick. */
const SIZES = {
  whole: {
    warmUpMs: 15_000,
    measureMs: 15_000,
    rates: [10, 50, 200],
    seconds: 20,
    open: 10_000,
    newcomers: 500,
    bindings: 1_000_000,
    polled: 20,
  },
  quick: {
    warmUpMs: 2_000,
    measureMs: 5_000,
    rates: [10, 50],
    seconds: 6,
    open: 1_000,
    newcomers: 100,
    bindings: 20_000,
    polled: 6,
  },
};
const FEW_BINDINGS = 1_000;
const OPEN_RATE = 50;

const say = (text: string) => process.stdout.write(`${text}\n`);

async function main(options: Options): Promise<number> {
  const { isQuick, only, profile } = options;
  const size = isQuick ? SIZES.quick : SIZES.whole;
  const profiles = profile ? join(ROOT, '.local', 'bench-profiles') : process.env.BENCH_CPU_PROF;
  if (profile && profiles) rmSync(join(profiles, profile), { recursive: true, force: true });
  const logs = join(ROOT, '.local', 'bench-logs');
  rmSync(logs, { recursive: true, force: true });
  mkdirSync(logs, { recursive: true });
  const stage = await openStage((name) => (!profile || profile === name ? profiles : undefined), logs);
  const stop = () => void stage.close().finally(() => process.exit(130));
  process.once('SIGTERM', stop).once('SIGINT', stop);

  const results: Results = {
    at: new Date().toISOString(),
    isQuick,
    machine: describeMachine(),
    versions: { node: process.versions.node, ...stage.serverProcesses.versions },
  };
  if (!canMeasure) say('CPU and memory: not measured, as only Linux tells them in /proc');
  else if (!stage.serverProcesses.rabbitmq || !stage.serverProcesses.mongodb)
    say('CPU and memory of RabbitMQ or MongoDB: not measured, as they are not processes of this machine');
  try {
    await runScenarios(stage, options, size, results);
  } finally {
    await stage.close();
  }

  const violations = violationsOf(results);
  for (const table of tablesOf(results)) say(renderText(table));
  for (const violation of violations.slice(0, SHOWN_VIOLATIONS)) say(`! ${violation}`);
  if (violations.length > SHOWN_VIOLATIONS) say(`! … ${violations.length} violations in all`);
  if (profile && profiles) say(renderText(summarizeProfiles(join(profiles, profile), ROOT)));
  if (options.json) writeFileSync(options.json, `${JSON.stringify(results, null, 2)}\n`);
  if (options.isForDocs) writeDocs(ROOT, results);
  say(only.size > 0 && violations.length === 0 ? 'every message answered exactly once, in order' : '');
  return violations.length === 0 ? 0 : 1;
}

async function runScenarios(stage: Stage, options: Options, size: (typeof SIZES)['whole'], results: Results) {
  const { only } = options;
  const { warmUpMs, measureMs, seconds } = size;
  const run = async <T>(name: ScenarioName, what: string, scenario: () => Promise<T>): Promise<T | undefined> => {
    if (!only.has(name)) return undefined;
    const since = performance.now();
    say(`${what} …`);
    const result = await scenario();
    say(`  ${((performance.now() - since) / 1000).toFixed(1)} s`);
    return result;
  };
  const users = await stage.bindUsers(Math.max(2_000, options.users), 'wm-');
  const writers = users.slice(0, options.users);
  // Before ingest is there, which would pull its messages.
  const yardsticks = await run('yardsticks', 'yardsticks: broker, database, HTTP', () =>
    runYardsticks(stage, { users: writers, warmUpMs, measureMs: measureMs / 2 }),
  );
  if (yardsticks) results.yardsticks = yardsticks;

  await Promise.all([stage.start('binder'), stage.start('router'), stage.start('sender')]);
  await stage.startIngest('doorbell');
  const closed = await run('closed', `closed loop, ${writers.length} customers`, () =>
    runClosedLoop(stage, { users: writers, warmUpMs, measureMs }),
  );
  if (closed) results.closed = closed;

  // What follows is to meet services that are warm, whichever scenarios were asked for.
  if (!only.has('closed')) {
    await stage.wecom.ask({ kind: 'closed', users: writers });
    await new Promise((resolve) => setTimeout(resolve, warmUpMs));
    await observe(stage);
  }

  for (const perSecond of size.rates) {
    const open = await run('open', `open loop, ${perSecond} turns/s, doorbell`, () =>
      runOpenLoop(stage, { trigger: 'doorbell', perSecond, seconds, users }),
    );
    if (open) results.open = [...(results.open ?? []), open];
  }
  const polled = await run('open', `open loop, ${OPEN_RATE} turns/s, polling`, async () => {
    await stage.startIngest('polling');
    const result = await runOpenLoop(stage, { trigger: 'polling', perSecond: OPEN_RATE, seconds: size.polled, users });
    await stage.startIngest('doorbell');
    return result;
  });
  if (polled) results.open = [...(results.open ?? []), polled];

  const openTurns = await run('open-turns', `${size.open} turns open at once`, async () => {
    const waiting = await stage.bindUsers(size.open, 'wm-waiting-');
    const newcomers = await stage.bindUsers(size.newcomers, 'wm-new-');
    return runOpenTurns(stage, { waiting, newcomers, perSecond: OPEN_RATE });
  });
  if (openTurns) results.openTurns = openTurns;

  const replicas = await run('replicas', 'replicas 1, 2, 3', () =>
    runReplicas(stage, { users: writers, measureMs: measureMs * (2 / 3) }),
  );
  if (replicas) results.replicas = replicas;

  const bindings = await run('bindings', `${FEW_BINDINGS} and ${size.bindings} bindings`, () =>
    runBindings(stage, {
      few: FEW_BINDINGS,
      many: size.bindings,
      turns: Math.min(FEW_BINDINGS, OPEN_RATE * seconds),
      perSecond: OPEN_RATE,
    }),
  );
  if (bindings) results.bindings = bindings;
}

let options: Options | null;
try {
  options = readOptions(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n\n${HELP}\n`);
  process.exit(2);
}
if (options === null) say(HELP);
else process.exitCode = await main(options);
