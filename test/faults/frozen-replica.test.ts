// A replica freezes for longer than its partitions wait for it, and wakes up when they have moved: no harm done.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { eventually } from '../support/eventually.ts';
import { createTestServers, type TestServers } from '../support/servers.ts';
import { type Machine, startMachine } from './soak/machine.ts';
import { createOwner } from './soak/owned.ts';
import { settle } from './soak/settle.ts';
import { createUsers, type Users } from './soak/users.ts';
import { judge } from './soak/verdict.ts';

/** The broker finds out after two missed heartbeats, a bridge whose callback a frozen router took after 5 s. */
const SETTLE_MS = 90_000;
/** A short heartbeat, so that the broker gives a silent process up within seconds. */
const HEARTBEAT = '?heartbeat=2';

const directory = mkdtempSync(join(tmpdir(), 'frozen-replica-'));
let servers: TestServers;
let machine: Machine;
let users: Users;

beforeAll(async () => {
  servers = await createTestServers();
  machine = await startMachine({
    owner: createOwner(directory, join(directory, 'logs')),
    servers: { ...servers, amqpUrl: servers.amqpUrl + HEARTBEAT },
    partitions: 4,
  });
  users = createUsers({ machine, count: 20, seed: 1, perMinute: 400 });
  await users.bindAll();
  expect(await isEverybodyAnswered()).toBe(true);
});
afterAll(async () => {
  await users?.stop();
  await machine?.stop();
  await servers?.drop();
  rmSync(directory, { recursive: true, force: true });
});

const isEverybodyAnswered = () => settle(machine, users, SETTLE_MS);

test('partitions of a frozen router and a frozen sender move; when these wake up nothing is done twice', async () => {
  const frozen = machine.replicas.filter(({ label }) => label === 'router-1' || label === 'sender-1');
  users.start();
  await eventually('many are being answered', () => users.said.length > users.ids.length + 20);
  for (const { service } of frozen) service.signal('SIGSTOP');
  const before = users.said.length;
  await eventually('they go on without them', () => users.said.length > before + 20);
  await users.stop();
  // While they are still frozen.
  expect(await isEverybodyAnswered()).toBe(true);
  for (const { service } of frozen) service.signal('SIGCONT');
  await Promise.all(frozen.map(({ service }) => eventually('awake', service.isReady)));
  users.nudge(users.ids);
  expect(await isEverybodyAnswered()).toBe(true);
  expect(judge(machine, users.said, []).violations).toEqual([]);
});
