// RabbitMQ runs out of memory and holds publishers back: ingest stops where it is and goes on when it is over.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { eventually } from '../support/eventually.ts';
import { type OwnRabbitmq, startOwnRabbitmq } from '../support/own-rabbitmq.ts';
import { createTestServers, type TestServers } from '../support/servers.ts';
import { type Machine, startMachine } from './soak/machine.ts';
import { createOwner } from './soak/owned.mjs';
import { settle } from './soak/settle.ts';
import { createUsers, type Users } from './soak/users.ts';
import { judge } from './soak/verdict.ts';

const SETTLE_MS = 60_000;
const directory = mkdtempSync(join(tmpdir(), 'memory-alarm-'));

let rabbitmq: OwnRabbitmq;
let servers: TestServers;
let machine: Machine;
let users: Users;

beforeAll(async () => {
  // An alarm holds every publisher of a broker back, so it needs one of its own.
  rabbitmq = await startOwnRabbitmq();
  servers = await createTestServers();
  machine = await startMachine({
    owner: createOwner(directory, join(directory, 'logs')),
    servers: { mongoUri: servers.mongoUri, ...rabbitmq.urls() },
    partitions: 2,
    labels: ['ingest-1', 'binder-1', 'router-1', 'sender-1'],
  });
  users = createUsers({ machine, count: 10, seed: 1, perMinute: 200 });
  await users.bindAll();
  expect(await settle(machine, users, SETTLE_MS)).toBe(true);
}, 240_000);
afterAll(async () => {
  await users?.stop();
  await machine?.stop();
  await Promise.all([servers?.drop(), rabbitmq?.stop()]);
  rmSync(directory, { recursive: true, force: true });
}, 60_000);

test('a memory alarm stops ingest at its cursor; afterwards everything comes, once and in order', async () => {
  const ingestLog = () => readFileSync(join(directory, 'logs', 'ingest-1.log'), 'utf8');
  users.start();
  await eventually('users write', () => users.said.length > 20);
  await rabbitmq.ctl('set_vm_memory_high_watermark', '0.00001');
  await eventually('ingest is held back', () => ingestLog().includes('broker.blocked'));
  const before = users.said.length;
  await eventually('users write on', () => users.said.length > before + 20);
  await users.stop();
  const unread = machine.wecom.control.messages().filter(({ firstReturnedAt }) => firstReturnedAt === null);
  expect(unread.length).toBeGreaterThan(10);
  await rabbitmq.ctl('set_vm_memory_high_watermark', '0.4');
  expect(await settle(machine, users, SETTLE_MS)).toBe(true);
  expect(judge(machine, users.said, []).violations).toEqual([]);
});
