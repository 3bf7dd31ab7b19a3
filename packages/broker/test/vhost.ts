// A vhost for one test file, a broker on it (also behind a proxy), and hands on its queues.
import { createLogger } from '@pipeline/runtime';
import { type Channel, type ChannelModel, connect } from 'amqplib';
import { eventually } from '../../../test/support/eventually.ts';
import { createTestServers, type TestServers } from '../../../test/support/servers.ts';
import { startTcpProxy, type TcpProxy } from '../../../test/support/tcp-proxy.ts';
import { type Broker, type ConsumerOptions, createBroker, createManagementApi, type Delivery } from '../src/index.ts';

export const logger = createLogger({ service: 'test', level: process.env.TEST_LOG_LEVEL ?? 'silent' });

export interface TestVhost extends TestServers {
  /** An ordinary channel, for what our own code never does. */
  channel: Channel;
  /** A broker that is closed with the vhost. */
  open(name: string, url?: string): Promise<Broker>;
  /** A proxy in front of RabbitMQ that is closed with the vhost. */
  proxy(): Promise<TcpProxy>;
  /** Declares a quorum queue and binds it to an exchange of its own name. */
  queue(name: string, args?: Record<string, unknown>): Promise<void>;
  limit(queue: string, maxLength: number): Promise<void>;
  /** The server closes every connection whose name begins so. */
  closeConnections(namePrefix: string): Promise<void>;
}

export async function openVhost(): Promise<TestVhost> {
  const servers = await createTestServers();
  const api = createManagementApi(servers.managementUrl);
  const connection: ChannelModel = await connect(servers.amqpUrl);
  const channel = await connection.createChannel();
  channel.on('error', () => {}); // the failed operation says it
  const brokers: Broker[] = [];
  const proxies: TcpProxy[] = [];
  return {
    ...servers,
    channel,
    async open(name, url = servers.amqpUrl) {
      const broker = await createBroker({ url, name, logger });
      brokers.push(broker);
      await eventually(`${name} is connected`, () => broker.problem() === null);
      return broker;
    },
    async proxy() {
      const proxy = await startTcpProxy(servers.amqpUrl);
      proxies.push(proxy);
      return proxy;
    },
    async queue(name, args = {}) {
      await channel.assertExchange(name, 'direct', { durable: true });
      await channel.assertQueue(name, { durable: true, arguments: { 'x-queue-type': 'quorum', ...args } });
      for (const key of ['a', 'b', 'c']) await channel.bindQueue(name, name, key);
    },
    async limit(queue, maxLength) {
      await api.put(`/policies/${servers.vhost}/limit-${queue}`, {
        pattern: `^${queue}$`,
        definition: { 'max-length': maxLength, overflow: 'reject-publish' },
        'apply-to': 'queues',
      });
    },
    async closeConnections(namePrefix) {
      await eventually(`connections of ${namePrefix} are listed`, async () => {
        const listed = await api.get<{ name: string; vhost: string; user_provided_name?: string }[]>('/connections');
        const mine = listed.filter(
          (one) => one.vhost === servers.vhost && one.user_provided_name?.startsWith(namePrefix),
        );
        for (const { name } of mine) await api.remove(`/connections/${encodeURIComponent(name)}`);
        return mine.length > 0;
      });
    },
    async drop() {
      await Promise.all(brokers.map((broker) => broker.close()));
      await Promise.all(proxies.map((proxy) => proxy.close()));
      await connection.close();
      await servers.drop();
    },
  };
}

export const message = (id: string | number) => ({
  type: 'test',
  messageId: String(id),
  correlationId: String(id),
  body: { id },
});

/** A consumer that notes what it gets, and acks unless told otherwise. */
export function collect(
  broker: Broker,
  queue: string,
  options: Partial<ConsumerOptions> & { isAcking?: boolean } = {},
) {
  const { isAcking = true, ...rest } = options;
  const got: string[] = [];
  const deliveries: Delivery[] = [];
  let opened = 0;
  let closed = 0;
  const consumer = broker.consume({
    queue,
    prefetch: 100,
    consumerTag: `collect-${crypto.randomUUID()}`,
    onDelivery(delivery) {
      got.push(delivery.messageId);
      deliveries.push(delivery);
      if (isAcking) delivery.ack();
    },
    onOpen: () => opened++,
    onClose: () => closed++,
    ...rest,
  });
  return { consumer, got, deliveries, opened: () => opened, closed: () => closed };
}
