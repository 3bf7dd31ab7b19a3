// The topology step and what services make of its work.
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { describeTopology, exchanges, mailboxQueues, TOPOLOGY_MARKER } from '@pipeline/contracts';
import { eventually } from '../../../test/support/eventually.ts';
import { applyTopology, createBroker, createManagementApi } from '../src/index.ts';
import { collect, logger, message, openVhost, type TestVhost } from './vhost.ts';

let vhost: TestVhost;
beforeEach(async () => {
  vhost = await openVhost();
}, 120_000);
afterEach(() => vhost?.drop(), 20_000);

const apply = (partitions = 3) =>
  applyTopology({ amqpUrl: vhost.amqpUrl, managementUrl: vhost.managementUrl, partitions });
const needs = (partitions = 3) => ({
  exchanges: [exchanges.routerMailboxes, exchanges.senderMailboxes],
  queues: mailboxQueues('router', partitions),
  partitions,
});
const listed = async () => {
  const api = createManagementApi(vhost.managementUrl);
  const names = ['queues', 'exchanges', 'bindings', 'policies'].map((kind) =>
    api.get<Record<string, unknown>[]>(`/${kind}/${vhost.vhost}`),
  );
  return (await Promise.all(names)).map((list) => list.map((one) => JSON.stringify(pick(one))).sort());
};
const pick = ({
  name,
  type,
  arguments: args,
  source,
  destination,
  routing_key,
  pattern,
  definition,
}: Record<string, unknown>) => ({
  name,
  type,
  args,
  source,
  destination,
  routing_key,
  pattern,
  definition,
});

test('applying it a second time changes nothing', async () => {
  await apply();
  const before = await listed();
  await apply();
  expect(await listed()).toEqual(before);
  expect(before[0]).toHaveLength(describeTopology(3).queues.length);
}, 120_000);

test('another number of partitions is refused by name, more as well as fewer', async () => {
  await apply(3);
  await expect(apply(2)).rejects.toMatchObject({
    code: 'config-invalid',
    message: expect.stringContaining('PARTITIONS'),
  });
  await expect(apply(4)).rejects.toMatchObject({
    code: 'config-invalid',
    message: expect.stringContaining('PARTITIONS'),
  });
  expect((await listed())[0]).toHaveLength(describeTopology(3).queues.length);
}, 120_000);

test('a step that broke off half-way is completed by the next one', async () => {
  await apply();
  await vhost.channel.deleteExchange(TOPOLOGY_MARKER);
  await vhost.channel.deleteQueue('sender.mailbox.02');
  await apply();
  expect((await listed())[0]).toHaveLength(describeTopology(3).queues.length);
}, 120_000);

test('a foreign queue in the ring of a hash exchange is named', async () => {
  await apply();
  await vhost.channel.assertQueue('stranger', { durable: true });
  await vhost.channel.bindQueue('stranger', exchanges.routerMailboxes, '1');
  await expect(apply()).rejects.toMatchObject({ code: 'config-invalid', message: expect.stringContaining('stranger') });
}, 120_000);

test('a mailbox bound with another weight as well is named', async () => {
  await apply();
  await vhost.channel.bindQueue('router.mailbox.01', exchanges.routerMailboxes, '10');
  await expect(apply()).rejects.toMatchObject({
    code: 'config-invalid',
    message: expect.stringContaining('router.mailbox.01'),
  });
}, 120_000);

test('a queue that exists with other arguments is named', async () => {
  await vhost.channel.assertQueue('router.mailbox.01', { durable: true, arguments: { 'x-queue-type': 'quorum' } });
  await expect(apply()).rejects.toMatchObject({
    code: 'config-invalid',
    message: expect.stringContaining('router.mailbox.01'),
  });
}, 120_000);

test('a policy of higher priority that takes the place of ours is named, others are not minded', async () => {
  const api = createManagementApi(vhost.managementUrl);
  const policy = (pattern: string, priority: number) => ({
    pattern,
    priority,
    definition: { 'max-length': 7 },
    'apply-to': 'queues',
  });
  await api.put(`/policies/${vhost.vhost}/other`, policy('(?i)^OTHER', 99));
  await apply();
  await api.put(`/policies/${vhost.vhost}/usurper`, policy('^router', 99));
  await expect(apply()).rejects.toMatchObject({ message: expect.stringContaining('usurper') });
}, 120_000);

test('services wait for the step, then find everything', async () => {
  const broker = await vhost.open('service');
  let isDone = false;
  const waiting = broker.awaitTopology(needs()).then(() => {
    isDone = true;
  });
  await eventually('it says what it waits for', () => broker.problem()?.includes(TOPOLOGY_MARKER));
  expect(isDone).toBe(false);
  await apply();
  await waiting;
  expect(broker.problem()).toBeNull();
}, 120_000);

test('a service names what is missing, and another number of partitions than its own', async () => {
  await apply();
  const broker = await vhost.open('service');
  await expect(broker.awaitTopology(needs(2))).rejects.toMatchObject({
    code: 'config-invalid',
    message: expect.stringMatching(/PARTITIONS.*2 .*router\.mailbox\.02/),
  });
  await expect(broker.awaitTopology(needs(4))).rejects.toMatchObject({
    code: 'config-invalid',
    message: expect.stringMatching(/router\.mailbox\.03.*PARTITIONS/),
  });
  await vhost.channel.deleteQueue('router.mailbox.01');
  await expect(broker.awaitTopology(needs())).rejects.toMatchObject({
    code: 'config-invalid',
    message: expect.stringContaining('queue router.mailbox.01'),
  });
}, 120_000);

test('waiting for the topology ends with the process', async () => {
  const stopping = new AbortController();
  const { signal } = stopping;
  const impatient = await createBroker({ url: vhost.amqpUrl, name: 'impatient', logger, signal });
  const waiting = impatient.awaitTopology(needs());
  stopping.abort();
  await expect(waiting).rejects.toMatchObject({ code: 'broker-away' });
  await impatient.close();
}, 120_000);

test('one key always goes to one queue, and keys spread over all', async () => {
  await apply();
  const broker = await vhost.open('hashing');
  const queues = mailboxQueues('router', 3).map((queue) => ({ queue, ...collect(broker, queue) }));
  const keys = Array.from({ length: 60 }, (_, index) => `wk1:user-${index}`);
  for (const round of [1, 2, 3])
    await Promise.all(keys.map((key) => broker.publish(exchanges.routerMailboxes, key, message(`${key}/${round}`))));
  await eventually('all are delivered', () => queues.reduce((sum, { got }) => sum + got.length, 0) === 180);
  for (const { got } of queues) {
    expect(got.length).toBeGreaterThan(0);
    for (const id of got) expect(got.filter((other) => other.startsWith(`${id.split('/')[0]}/`))).toHaveLength(3);
  }
}, 120_000);
