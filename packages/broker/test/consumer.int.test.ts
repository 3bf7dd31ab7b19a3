// Subscriptions that outlive channels, connections and queues, and hand over in order.
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { eventually } from '../../../test/support/eventually.ts';
import type { Broker, Delivery } from '../src/index.ts';
import { collect, message, openVhost, type TestVhost } from './vhost.ts';

const SINGLE = { 'x-single-active-consumer': true };
let vhost: TestVhost;
let broker: Broker;

beforeAll(async () => {
  vhost = await openVhost();
  broker = await vhost.open('consumer');
}, 120_000);
afterAll(() => vhost?.drop(), 20_000);

const ids = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, index) => String(from + index));
const publish = async (queue: string, from: number, to: number) => {
  for (const id of ids(from, to)) await broker.publish(queue, 'a', message(id));
};

test('after the server has closed the connection, consumers are there again and get the unacked again, in order', async () => {
  await vhost.queue('forced', SINGLE);
  const forced = await vhost.open('forced');
  // Three are a quarter of it: their acks don't rest.
  const options = { isAcking: false, prefetch: 12 };
  const { consumer, got, deliveries, opened, closed } = collect(forced, 'forced', options);
  await publish('forced', 1, 10);
  await eventually('all are delivered', () => got.length === 10);
  for (const delivery of deliveries.slice(0, 3)) delivery.ack();
  const old = deliveries.slice(3);
  await vhost.closeConnections('forced consuming');
  await eventually('the rest is delivered again', () => got.length >= 17);
  expect(got.slice(10)).toEqual(ids(4, 10));
  expect(deliveries[10]?.deliveryCount).toBe(1);
  expect([opened(), closed(), consumer.isOpen()]).toEqual([2, 1, true]);
  for (const delivery of old) delivery.ack(); // of the old channel: does nothing, and above all doesn't throw
  for (const delivery of deliveries.slice(10)) delivery.ack();
  await eventually('all are acked', async () => {
    await consumer.close();
    return (await vhost.channel.checkQueue('forced')).messageCount === 0;
  });
}, 120_000);

test('acks in any order reach the broker on one channel, and one delivery that is held for long holds up no other', async () => {
  await vhost.queue('gathered', SINGLE);
  const { consumer, got, deliveries, opened } = collect(broker, 'gathered', { isAcking: false, prefetch: 16 });
  const publishing = publish('gathered', 1, 100);
  const acked = new Set<Delivery>();
  await eventually('all but one are acked', () => {
    const waiting = deliveries.filter((delivery) => delivery.messageId !== '6' && !acked.has(delivery)).reverse();
    for (const delivery of waiting.filter((_, index) => index % 2 === 0)) {
      acked.add(delivery);
      delivery.ack();
    }
    return acked.size === 99;
  });
  await publishing;
  expect([got, opened()]).toEqual([ids(1, 100), 1]);
  await consumer.close();
  const next = collect(broker, 'gathered');
  await publish('gathered', 101, 101);
  await eventually('what came later is there', () => next.got.includes('101'));
  expect(next.got).toEqual(['6', '101']);
}, 120_000);

test('closing a consumer hands what it has not acked to the next one, in order and before anything newer', async () => {
  await vhost.queue('handover', SINGLE);
  const first = collect(broker, 'handover', { isAcking: false });
  await eventually('subscribed', () => first.consumer.isOpen());
  const other = await vhost.open('other');
  const second = collect(other, 'handover');
  await eventually('subscribed', () => second.consumer.isOpen());
  await publish('handover', 1, 20);
  await eventually('the first has all', () => first.got.length === 20);
  expect(second.got).toEqual([]);
  first.consumer.pause();
  await publish('handover', 21, 30);
  for (const index of [0, 2, 4]) first.deliveries[index]?.ack();
  await first.consumer.close();
  await eventually('the second has the rest', () => second.got.length === 27);
  expect(second.got).toEqual(['2', '4', ...ids(6, 30)]);
  expect(first.got).toEqual(ids(1, 20)); // paused: none of 21 to 30
}, 120_000);

test('what goes to a fanout exchange reaches every process that listens now, also after a lost connection', async () => {
  await vhost.channel.assertExchange('news', 'fanout', { durable: true });
  const [first, second] = [await vhost.open('news-1'), await vhost.open('news-2')];
  const listeners = [first, second].map((each) => collect(each, 'news', { queue: { everythingOf: 'news' } }));
  const heard = async (id: string) => {
    await broker.publish('news', 'a', message(id));
    await eventually('both have it', () => listeners.every(({ got }) => got.includes(id)));
  };
  await eventually('both listen', () => listeners.every(({ consumer }) => consumer.isOpen()));
  await heard('1');
  await vhost.closeConnections('news-1 consuming');
  await eventually('the first listens again', () => listeners[0]?.opened() === 2 && listeners[0]?.consumer.isOpen());
  await heard('2');
  await Promise.all(listeners.map(({ consumer }) => consumer.close()));
  // Their queues go with their channels, on RabbitMQ 4.3 a moment later.
  await eventually('nobody listens any more', () =>
    broker.publish('news', 'a', message('3')).then(
      () => false,
      (error) => error.code === 'publish-unroutable',
    ),
  );
}, 120_000);

test('a closed consumer resumes where the queue stands', async () => {
  await vhost.queue('resumed', SINGLE);
  const { consumer, got } = collect(broker, 'resumed');
  await publish('resumed', 1, 3);
  await eventually('delivered', () => got.length === 3);
  await consumer.close();
  expect(consumer.isOpen()).toBe(false);
  await publish('resumed', 4, 6);
  consumer.resume();
  await eventually('delivered', () => got.length === 6);
  expect(got).toEqual(ids(1, 6));
}, 120_000);

test('closing and resuming at every moment of an opening leaves exactly one subscription', async () => {
  await vhost.queue('hectic', SINGLE);
  const { consumer, got } = collect(broker, 'hectic');
  for (let round = 0; round < 30; round++) {
    const closing = consumer.close();
    if (round % 3 === 0) await closing;
    consumer.resume();
    for (let turn = 0; turn < round % 5; turn++) await new Promise((resolve) => setImmediate(resolve));
  }
  await eventually('subscribed', () => consumer.isOpen());
  await publish('hectic', 1, 5);
  await eventually('delivered', () => got.length === 5);
  await consumer.close();
  // Nobody consumes any more: what comes now stays.
  await publish('hectic', 6, 7);
  await eventually('stays', async () => (await vhost.channel.checkQueue('hectic')).messageCount === 2);
  expect((await vhost.channel.checkQueue('hectic')).consumerCount).toBe(0);
  expect(got).toEqual(ids(1, 5));
}, 120_000);

test('a consumer closed while it opens gets nothing and leaves no subscription', async () => {
  await vhost.queue('early', SINGLE);
  await publish('early', 1, 3);
  const { consumer, got } = collect(broker, 'early');
  await consumer.close();
  await eventually('nobody consumes', async () => (await vhost.channel.checkQueue('early')).consumerCount === 0);
  consumer.resume();
  await eventually('delivered', () => got.length === 3);
}, 120_000);

test('a consumer that the server cancels says so, and is back once its queue is', async () => {
  await vhost.queue('deleted', SINGLE);
  const { consumer, got, deliveries } = collect(broker, 'deleted', { isAcking: false });
  await publish('deleted', 1, 2);
  await eventually('delivered', () => got.length === 2);
  await vhost.channel.deleteQueue('deleted');
  await eventually('it is not open', () => !consumer.isOpen());
  for (const delivery of deliveries) delivery.ack(); // while the channel closes: must not throw
  await vhost.queue('deleted', SINGLE);
  await eventually('it is open', () => consumer.isOpen());
  await publish('deleted', 3, 4);
  await eventually('delivered', () => got.includes('4'));
  expect(got).toEqual(ids(1, 4));
}, 120_000);

test('a broker that cannot be reached is waited for, and its consumers start with it', async () => {
  await vhost.queue('awaited', SINGLE);
  const proxy = await vhost.proxy();
  const awaited = await vhost.open('awaited', proxy.through(vhost.amqpUrl));
  const { consumer, got } = collect(awaited, 'awaited');
  await eventually('subscribed', () => consumer.isOpen());
  await proxy.refuse();
  proxy.cut();
  await eventually('it says so', () => awaited.problem() !== null && !consumer.isOpen());
  await publish('awaited', 1, 3);
  await proxy.accept();
  await eventually('delivered', () => got.length === 3);
  await eventually('it says so', () => awaited.problem() === null);
  await awaited.close();
}, 120_000);

test('closing does not wait for a broker that has fallen silent', async () => {
  await vhost.queue('silent', SINGLE);
  const proxy = await vhost.proxy();
  const silent = await vhost.open('silent', proxy.through(vhost.amqpUrl));
  const { consumer } = collect(silent, 'silent');
  await eventually('subscribed', () => consumer.isOpen());
  proxy.pause();
  const startedAt = performance.now();
  await consumer.close();
  await silent.close();
  expect(performance.now() - startedAt).toBeLessThan(20_000);
}, 120_000);

// On RabbitMQ 4.3.6, and with consumer priorities, the queue kept the one that left first as its active consumer for ever.
test.each(['closes its channel', 'loses its connection'])(
  'the active consumer holds a message, the next in line %s, then so does the active one: a newcomer gets the message',
  async (how) => {
    const name = `left-${how.split(' ')[0]}`;
    await vhost.queue(name, SINGLE);
    const leave = async (brokerName: string, { consumer }: ReturnType<typeof collect>) => {
      if (how === 'closes its channel') return consumer.close();
      consumer.pause();
      await vhost.closeConnections(`${brokerName} consuming`);
      await consumer.close();
    };
    const [firstName, nextName] = [`${name}-first`, `${name}-next`];
    const first = collect(await vhost.open(firstName), name, { isAcking: false });
    await eventually('subscribed', () => first.consumer.isOpen());
    await publish(name, 1, 1);
    await eventually('held', () => first.got.length === 1);
    const next = collect(await vhost.open(nextName), name);
    await eventually('in line', () => next.consumer.isOpen());
    await leave(nextName, next);
    await leave(firstName, first);
    const newcomer = collect(broker, name);
    await eventually('the message has come', () => newcomer.got.includes('1'), { withinMs: 10_000 });
    await publish(name, 2, 20);
    await eventually('and all that follow', () => newcomer.got.length >= 20);
    expect(newcomer.got).toEqual(ids(1, 20));
    await newcomer.consumer.close();
  },
  120_000,
);
