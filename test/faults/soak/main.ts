// npm run test:soak ─▶ the soak run, on servers of its own, or (--given) on those of RABBITMQ_URL and MONGODB_URI.
import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';
import { createOwner } from './owned.ts';
import { runSoak } from './run.ts';

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '20' },
    seed: { type: 'string' },
    users: { type: 'string', default: '80' },
    directory: { type: 'string' },
    logs: { type: 'string' },
    given: { type: 'boolean', default: false },
  },
});
const seed = Number(values.seed ?? randomInt(1_000_000));
const minutes = Number(values.minutes);
const { directory, logs } = values;
if (!(minutes > 0) || !Number.isInteger(seed) || !directory || !logs)
  throw new Error('usage: npm run test:soak -- --minutes N [--seed S]');

const startedAt = performance.now();
const say = (line: string) =>
  void process.stdout.write(`[${((performance.now() - startedAt) / 1000).toFixed(0).padStart(5)} s] ${line}\n`);
say(`soak: ${minutes} minutes, seed ${seed} (again: npm run test:soak -- --minutes ${minutes} --seed ${seed})`);
// What it has started ends with it: see deploy/processes/owned-process.ts.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));
const owner = createOwner(directory, logs);
const ownServers = values.given ? null : await owner.startServers();
const { RABBITMQ_URL = '', RABBITMQ_MANAGEMENT_URL = '', MONGODB_URI = '' } = process.env;
const servers = ownServers ?? {
  amqpUrl: RABBITMQ_URL,
  managementUrl: RABBITMQ_MANAGEMENT_URL,
  mongoUri: MONGODB_URI,
};
try {
  const { table, faults } = await runSoak({
    seed,
    durationMs: minutes * 60_000,
    users: Number(values.users),
    perMinute: 320,
    partitions: 24,
    owner,
    servers,
    ownServers,
    logs,
    say,
  });
  process.stdout.write(`\n${table}\n\n`);
  say(faults.length === 0 ? 'no violation' : `${faults.length} violations; the logs are in ${logs}`);
  process.exitCode = faults.length === 0 ? 0 : 1;
} finally {
  await ownServers?.stop();
}
process.exit();
