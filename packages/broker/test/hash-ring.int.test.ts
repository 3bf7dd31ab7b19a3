// Users stay where they are when the broker restarts: the ring of the hash exchange is rebuilt as it was.
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { exchanges, mailboxQueues } from '@pipeline/contracts';
import { eventually } from '../../../test/support/eventually.ts';
import { type OwnRabbitmq, startOwnRabbitmq } from '../../../test/support/own-rabbitmq.ts';
import { applyTopology, createBroker } from '../src/index.ts';
import { logger, message } from './vhost.ts';

const PARTITIONS = 24;
const KEYS = Array.from({ length: 2_000 }, (_, index) => `wk1:wm-user-${index}`);

let rabbitmq: OwnRabbitmq;
beforeAll(async () => {
  rabbitmq = await startOwnRabbitmq();
}, 180_000);
afterAll(() => rabbitmq?.stop(), 60_000);

/** The queue to which each key goes now. */
async function whereKeysGo(): Promise<Record<string, string>> {
  const broker = await createBroker({ url: rabbitmq.urls().amqpUrl, name: 'ring', logger });
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
  await Promise.all(KEYS.map((key) => broker.publish(exchanges.routerMailboxes, key, message(key))));
  await eventually('every key has arrived', () => Object.keys(found).length === KEYS.length);
  await broker.close();
  return found;
}

test('no user moves to another partition when the broker restarts, nor when the topology is applied again', async () => {
  const apply = () => applyTopology({ ...rabbitmq.urls(), partitions: PARTITIONS });
  await apply();
  const before = await whereKeysGo();
  expect(new Set(Object.values(before)).size).toBe(PARTITIONS);
  await rabbitmq.restart();
  expect(await whereKeysGo()).toEqual(before);
  await apply();
  expect(await whereKeysGo()).toEqual(before);
}, 300_000);
