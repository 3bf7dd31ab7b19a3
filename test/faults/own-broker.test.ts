// What happens to a whole RabbitMQ, and so to one that nobody else uses: it runs out of memory, it is restarted.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { applyTopology, createBroker } from '@pipeline/broker';
import { exchanges, mailboxQueues } from '@pipeline/contracts';
import { eventually } from '../support/eventually.ts';
import { quiet } from '../support/open-servers.ts';
import { type OwnRabbitmq, startOwnRabbitmq } from '../support/own-rabbitmq.ts';
import { createTestServers, type TestServers } from '../support/servers.ts';
import { type Machine, startMachine } from './soak/machine.ts';
import { createOwner } from './soak/owned.ts';
import { settle } from './soak/settle.ts';
import { createUsers, type Users } from './soak/users.ts';
import { judge } from './soak/verdict.ts';

let rabbitmq: OwnRabbitmq;
beforeAll(async () => {
  rabbitmq = await startOwnRabbitmq();
}, 180_000);
afterAll(() => rabbitmq?.stop(), 60_000);

const PARTITIONS = 24;

describe('a restart', () => {
  const KEYS = Array.from({ length: 2_000 }, (_, index) => `wk1:wm-user-${index}`);
  /** The queue to which each key goes now. */
  async function whereKeysGo(): Promise<Record<string, string>> {
    const broker = await createBroker({ url: rabbitmq.urls().amqpUrl, name: 'ring', logger: quiet });
    await eventually('a connection', () => broker.problem() === null);
    const found: Record<string, string> = {};
    for (const queue of mailboxQueues('router', PARTITIONS))
      broker.consume({
        queue,
        prefetch: 200,
        consumerTag: queue,
        onDelivery(delivery) {
          found[delivery.routingKey] = queue;
          delivery.ack();
        },
      });
    const message = (messageId: string) => ({ type: 'test', messageId, correlationId: messageId, body: {} });
    await Promise.all(KEYS.map((key) => broker.publish(exchanges.routerMailboxes, key, message(key))));
    await eventually('every key has arrived', () => Object.keys(found).length === KEYS.length);
    await broker.close();
    return found;
  }

  test('moves no user to another partition, nor does it to apply the topology again', async () => {
    const apply = () => applyTopology({ ...rabbitmq.urls(), partitions: PARTITIONS });
    await apply();
    const before = await whereKeysGo();
    expect(new Set(Object.values(before)).size).toBe(PARTITIONS);
    await rabbitmq.restart();
    expect(await whereKeysGo()).toEqual(before);
    await apply();
    expect(await whereKeysGo()).toEqual(before);
  }, 300_000);
});

describe('a memory alarm', () => {
  const SETTLE_MS = 60_000;
  const directory = mkdtempSync(join(tmpdir(), 'own-broker-'));
  const owner = createOwner(directory, join(directory, 'logs'));
  let servers: TestServers;
  let machine: Machine;
  let users: Users;

  beforeAll(async () => {
    servers = await createTestServers();
    machine = await startMachine({
      owner,
      servers: { mongoUri: servers.mongoUri, ...rabbitmq.urls() },
      partitions: PARTITIONS,
      labels: ['ingest-1', 'binder-1', 'router-1', 'sender-1'],
    });
    users = createUsers({ machine, count: 20, seed: 1, perMinute: 400 });
    await users.bindAll();
    expect(await settle(machine, users, SETTLE_MS)).toBe(true);
  }, 240_000);
  afterAll(async () => {
    await users?.stop();
    await owner.endServices();
    await machine?.stop();
    await servers?.drop();
    rmSync(directory, { recursive: true, force: true });
  }, 60_000);

  test('stops ingest at its cursor; afterwards everything comes, once and in order', async () => {
    const ingestLog = () => readFileSync(join(directory, 'logs', 'ingest-1.log'), 'utf8');
    users.start();
    await eventually('users write', () => users.said.length > users.ids.length + 10);
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
});
