// Publishing: confirmed into a queue, or an error that says what to do.
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { eventually } from '../../../test/support/eventually.ts';
import type { Broker } from '../src/index.ts';
import { collect, message, openVhost, type TestVhost } from './vhost.ts';

let vhost: TestVhost;
let broker: Broker;

beforeAll(async () => {
  vhost = await openVhost();
  broker = await vhost.open('publisher');
}, 120_000);
afterAll(() => vhost?.drop(), 20_000);

const oneTo = (count: number) => Array.from({ length: count }, (_, index) => index + 1);
const ready = async (queue: string) => (await vhost.channel.checkQueue(queue)).messageCount;
const codeOf = (publishing: Promise<void>) =>
  publishing.then(
    () => 'ok',
    (error) => error.code as string,
  );

test('a confirmed message stands in its queue, with its type and ids', async () => {
  await vhost.queue('plain');
  await broker.publish('plain', 'a', { type: 'kind', messageId: 'm1', correlationId: 'c1', body: { text: '你好' } });
  expect(await ready('plain')).toBe(1);
  const { deliveries } = collect(broker, 'plain');
  await eventually('it is delivered', () => deliveries.length === 1);
  expect(deliveries[0]).toMatchObject({
    type: 'kind',
    messageId: 'm1',
    correlationId: 'c1',
    routingKey: 'a',
    deliveryCount: 0,
  });
  expect(JSON.parse(String(deliveries[0]?.content))).toEqual({ text: '你好' });
});

test('a message that no queue takes is refused as unroutable, although the broker confirms it', async () => {
  await vhost.queue('narrow');
  await expect(broker.publish('narrow', 'nobody', message(1))).rejects.toMatchObject({
    name: 'PermanentError',
    code: 'publish-unroutable',
  });
  await broker.publish('narrow', 'a', message(2));
  expect(await ready('narrow')).toBe(1);
});

test('a full queue refuses, and nothing behind a refused message overtakes it', async () => {
  await vhost.queue('small');
  await vhost.limit('small', 5);
  const got: string[] = [];
  let isFull = false;
  // Twenty at once, and those that were not taken again: none may be taken behind one that was not.
  const waiting = oneTo(60);
  while (waiting.length > 0) {
    const batch = waiting.slice(0, 20);
    const codes = await Promise.all(batch.map((n) => codeOf(broker.publish('small', 'a', message(n)))));
    const firstRefused = codes.findIndex((code) => code !== 'ok');
    const accepted = firstRefused === -1 ? batch.length : firstRefused;
    expect(codes.slice(accepted).every((code) => code === 'publish-refused')).toBe(true);
    isFull ||= accepted < batch.length;
    waiting.splice(0, accepted);
    for (let found = await vhost.channel.get('small'); found; found = await vhost.channel.get('small')) {
      got.push(found.properties.messageId);
      vhost.channel.ack(found);
    }
  }
  expect(isFull).toBe(true);
  expect(got).toEqual(oneTo(60).map(String));
}, 120_000);

test('messages of one key are published one at a time, those of other keys beside them', async () => {
  await vhost.queue('serial');
  const proxy = await vhost.proxy();
  const held = await vhost.open('serial', proxy.through(vhost.amqpUrl));
  proxy.pause('down'); // confirms don't come back
  const publishing = Promise.all(
    ['a', 'a', 'a', 'b', 'c'].map((key, index) => held.publish('serial', key, message(`${key}${index}`))),
  );
  await eventually('one of each key is in', async () => (await ready('serial')) === 3);
  proxy.resume();
  await publishing;
  expect(await ready('serial')).toBe(5);
  await held.close();
}, 120_000);

test('more publishes than the window takes all get through, and none is forgotten when the connection breaks', async () => {
  await vhost.channel.assertExchange('wide', 'fanout', { durable: true });
  await vhost.channel.assertQueue('wide', { durable: true, arguments: { 'x-queue-type': 'quorum' } });
  await vhost.channel.bindQueue('wide', 'wide', '');
  const proxy = await vhost.proxy();
  const wide = await vhost.open('wide', proxy.through(vhost.amqpUrl));
  await Promise.all(oneTo(1_200).map((n) => wide.publish('wide', `key-${n}`, message(n))));
  expect(await ready('wide')).toBe(1_200);

  proxy.pause('down');
  const outcomes = Promise.all(oneTo(1_600).map((n) => codeOf(wide.publish('wide', `key-${n}`, message(n)))));
  await eventually('the window is full', async () => (await ready('wide')) >= 1_700);
  proxy.cut();
  const codes = new Set(await outcomes);
  expect([...codes].sort()).toEqual(['broker-away', 'publish-unconfirmed']);
  proxy.resume();
  await eventually('it is back', () => wide.problem() === null);
  await wide.publish('wide', 'key-1', message('after'));
  await wide.close();
}, 120_000);

test('after the server has closed its connection a publisher comes back by itself', async () => {
  await vhost.queue('forced');
  const forced = await vhost.open('forced');
  await forced.publish('forced', 'a', message(1));
  await vhost.closeConnections('forced publishing');
  await eventually('published again', async () => (await codeOf(forced.publish('forced', 'a', message(2)))) === 'ok');
  expect(await ready('forced')).toBeGreaterThanOrEqual(2);
}, 120_000);

test('a publish that costs the channel its life is told, and the next one has a new channel', async () => {
  await vhost.queue('survivor');
  await expect(broker.publish('no-such-exchange', 'a', message(1))).rejects.toMatchObject({ name: 'RetryableError' });
  await eventually('published again', async () => (await codeOf(broker.publish('survivor', 'a', message(2)))) === 'ok');
}, 120_000);

test('close gives up on what is not confirmed, quickly, also when the broker has fallen silent', async () => {
  await vhost.queue('silent');
  const proxy = await vhost.proxy();
  const silent = await vhost.open('silent', proxy.through(vhost.amqpUrl));
  proxy.pause();
  const outcome = codeOf(silent.publish('silent', 'a', message(1)));
  const startedAt = performance.now();
  await silent.close();
  expect(performance.now() - startedAt).toBeLessThan(9_500);
  expect(await outcome).toMatch(/^(publish-unconfirmed|broker-away)$/);
}, 120_000);
