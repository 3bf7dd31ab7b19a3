// What the broker itself gives up is kept before it is acked, and is told of where it came from.
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { deadQueue, exchanges, mailboxQueues } from '@pipeline/contracts';
import { eventually } from '../../../test/support/eventually.ts';
import {
  applyTopology,
  type Broker,
  createManagementApi,
  type DeadLetterFields,
  drainDeadQueue,
} from '../src/index.ts';
import { logger, message, openVhost, type TestVhost } from './vhost.ts';

let vhost: TestVhost;
let broker: Broker;
beforeAll(async () => {
  vhost = await openVhost();
  await applyTopology({ amqpUrl: vhost.amqpUrl, managementUrl: vhost.managementUrl, partitions: 2 });
  broker = await vhost.open('drain');
}, 120_000);
afterAll(() => vhost?.drop(), 20_000);

test('a message delivered too often ends in the dead letters, however often those fail to take it', async () => {
  // The real policy, but for its limit.
  const api = createManagementApi(vhost.managementUrl);
  const path = `/policies/${vhost.vhost}/sender-mailboxes`;
  const policy = await api.get<{ definition: Record<string, unknown> }>(path);
  await api.put(path, { ...policy, definition: { ...policy.definition, 'delivery-limit': 2 } });
  await broker.publish(exchanges.senderMailboxes, 'wk1:user', message('m1'));
  for (const queue of mailboxQueues('sender', 2))
    await vhost.channel.consume(queue, (got) => got && vhost.channel.reject(got, true));

  const kept: DeadLetterFields[] = [];
  let refusals = 2;
  const stop = drainDeadQueue({
    queue: deadQueue('sender'),
    broker,
    async keep(letter) {
      if (refusals-- > 0) throw new Error('not now');
      kept.push(letter);
    },
    logger,
  });
  await eventually('it is kept', () => kept.length > 0, { withinMs: 20_000 });
  expect(kept).toMatchObject([
    {
      reason: expect.stringMatching(/RabbitMQ in sender\.mailbox\.0[01]: delivery_limit/),
      code: 'broker-delivery-limit',
      attempts: 1,
      origin: { type: 'test', messageId: 'm1', userKey: 'wk1:user', exchange: 'sender.mailboxes' },
      body: '{"id":"m1"}',
    },
  ]);
  await stop();
  await eventually('it is acked', async () => (await vhost.channel.checkQueue('sender.dead')).messageCount === 0);
}, 120_000);

test('a dead letter that comes back again and again stays', async () => {
  const RETURNS = 30; // RabbitMQ 4 drops after 20 where no policy says otherwise
  await vhost.channel.assertQueue('binder.dead', { durable: true, arguments: { 'x-queue-type': 'quorum' } });
  await broker.publish(exchanges.deadLetters, 'binder.dead', message('m2'));
  let returned = 0;
  const { consumerTag } = await vhost.channel.consume('binder.dead', (got) => {
    if (got && returned < RETURNS) {
      returned++;
      vhost.channel.reject(got, true);
    }
  });
  await eventually('it was returned often', () => returned === RETURNS);
  await vhost.channel.cancel(consumerTag);
  await vhost.channel.recover();
  await eventually('it is still there', async () => (await vhost.channel.checkQueue('binder.dead')).messageCount === 1);
}, 120_000);
