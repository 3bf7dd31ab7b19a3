// For tests of one service: servers of their own, a store and a broker on them, and what arrives in the mailboxes.
import { type Broker, createBroker } from '@pipeline/broker';
import { mailboxQueues } from '@pipeline/contracts';
import { createLogger } from '@pipeline/runtime';
import { openStore, type Store } from '@pipeline/store';
import { eventually } from './eventually.ts';
import { createTestServers, createTestServersWithTopology, type TestServers } from './servers.ts';

export interface Arrived {
  queue: string;
  type: string;
  messageId: string;
  correlationId: string;
  body: Record<string, unknown>;
}

export interface OpenServers extends TestServers {
  partitions: number;
  store: Store;
  broker: Broker;
  /** What came into the router's and the sender's mailboxes, in order of arrival. */
  arrived: Arrived[];
}

export const quiet = createLogger({ service: 'test', level: 'silent' });

/** A fresh vhost and database with few partitions, opened. `drop` closes everything. */
export async function openServers(partitions = 2): Promise<OpenServers> {
  const servers = await createTestServersWithTopology(partitions);
  const store = await openStore({ uri: servers.mongoUri, logger: quiet });
  const broker = await createBroker({ url: servers.amqpUrl, name: 'test', logger: quiet });
  const arrived: Arrived[] = [];
  for (const queue of [...mailboxQueues('sender', partitions), ...mailboxQueues('router', partitions)])
    broker.consume({
      queue,
      prefetch: 100,
      consumerTag: `test-${queue}`,
      onDelivery(delivery) {
        const { type, messageId, correlationId } = delivery;
        arrived.push({ queue, type, messageId, correlationId, body: JSON.parse(delivery.content.toString()) });
        delivery.ack();
      },
    });
  await eventually('a connection to RabbitMQ', () => broker.problem() === null);
  return {
    ...servers,
    partitions,
    store,
    broker,
    arrived,
    async drop() {
      await broker.close();
      await store.close();
      await servers.drop();
    },
  };
}

/** A fresh database, with as many connections of their own to it as there are replicas. `drop` closes everything. */
export async function openReplicaStores(replicas: number): Promise<{ stores: Store[]; drop(): Promise<void> }> {
  const servers = await createTestServers();
  const open = () => openStore({ uri: servers.mongoUri, logger: quiet });
  // The first makes the indexes.
  const first = await open();
  const stores = [first, ...(await Promise.all(Array.from({ length: replicas - 1 }, open)))];
  return {
    stores,
    async drop() {
      await Promise.all(stores.map((store) => store.close()));
      await servers.drop();
    },
  };
}
