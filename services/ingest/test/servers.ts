// Tests: a vhost and a database of their own on the given servers, and everything that arrives in the mailboxes.
import { applyTopology, type Broker, createBroker, createManagementApi } from '@pipeline/broker';
import { mailboxQueues } from '@pipeline/contracts';
import { createLogger } from '@pipeline/runtime';
import { openStore, type Store } from '@pipeline/store';

export const PARTITIONS = 2;

export interface Arrived {
  queue: string;
  type: string;
  messageId: string;
  correlationId: string;
  body: Record<string, unknown>;
}

export interface Servers {
  rabbitmqUrl: string;
  mongodbUri: string;
  store: Store;
  broker: Broker;
  /** Everything that came into the router's and the sender's mailboxes, in order of arrival. */
  arrived: Arrived[];
  close(): Promise<void>;
}

export const quiet = createLogger({ service: 'test', level: 'silent' });

/** @param name part of the vhost's and the database's name */
export async function openServers(name: string): Promise<Servers> {
  const { RABBITMQ_URL, RABBITMQ_MANAGEMENT_URL, MONGODB_URI } = process.env;
  if (!RABBITMQ_URL || !RABBITMQ_MANAGEMENT_URL || !MONGODB_URI) throw new Error('no servers are given: use npm test');
  const id = `${name}-${crypto.randomUUID().slice(0, 8)}`;
  const api = createManagementApi(RABBITMQ_MANAGEMENT_URL);
  await api.put(`/vhosts/${id}`, {});
  const rabbitmqUrl = withPath(RABBITMQ_URL, id);
  const mongodbUri = withPath(MONGODB_URI, id);
  const topology = { amqpUrl: rabbitmqUrl, managementUrl: RABBITMQ_MANAGEMENT_URL, partitions: PARTITIONS };
  await applyTopology(topology).catch(() => applyTopology(topology));
  const store = await openStore({ uri: mongodbUri, logger: quiet });
  const broker = await createBroker({ url: rabbitmqUrl, name: id, logger: quiet });
  const arrived: Arrived[] = [];
  for (const queue of [...mailboxQueues('sender', PARTITIONS), ...mailboxQueues('router', PARTITIONS)])
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
  return {
    rabbitmqUrl,
    mongodbUri,
    store,
    broker,
    arrived,
    async close() {
      await broker.close();
      await store.close();
    },
  };
}

/** Waits until the condition holds. @throws after 10 s, with what the condition says */
export async function eventually(condition: () => boolean | Promise<boolean>, what = 'the condition'): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`${what} did not come true within 10 s`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function withPath(address: string, path: string): string {
  const url = new URL(address);
  url.pathname = `/${path}`;
  return url.href;
}
