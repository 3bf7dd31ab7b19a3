// The real RabbitMQ and MongoDB that tests run on: a vhost and a database for each test file.
import { randomBytes } from 'node:crypto';
import { applyTopology, createManagementApi, defaultManagementUrl } from '@pipeline/broker';

export interface TestServers {
  amqpUrl: string;
  managementUrl: string;
  mongoUri: string;
  vhost: string;
  drop(): Promise<void>;
}

function fromEnvironment(name: string): string {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set: run the tests with "npm test", which provides the servers`);
  return value;
}

/**
 * A fresh vhost and database name on the servers that `npm test` provides.
 * @param ownRabbitmq takes that one instead of theirs
 */
export async function createTestServers(
  ownRabbitmq?: Pick<TestServers, 'amqpUrl' | 'managementUrl'>,
): Promise<TestServers> {
  const baseUrl = ownRabbitmq?.amqpUrl ?? fromEnvironment('RABBITMQ_URL');
  const managementUrl =
    ownRabbitmq?.managementUrl ?? process.env.RABBITMQ_MANAGEMENT_URL ?? defaultManagementUrl(baseUrl);
  const vhost = `test-${randomBytes(6).toString('hex')}`;
  const management = createManagementApi(managementUrl);
  await management.put(`/vhosts/${vhost}`, {});
  const amqpUrl = new URL(baseUrl);
  amqpUrl.pathname = `/${vhost}`;
  const mongoUri = new URL(fromEnvironment('MONGODB_URI'));
  mongoUri.pathname = `/${vhost}`;
  return {
    amqpUrl: amqpUrl.href,
    managementUrl,
    mongoUri: mongoUri.href,
    vhost,
    drop: () => management.remove(`/vhosts/${vhost}`),
  };
}

/** The same with the topology applied. */
export async function createTestServersWithTopology(
  partitions = 24,
  ...ownRabbitmq: Parameters<typeof createTestServers>
): Promise<TestServers> {
  const servers = await createTestServers(...ownRabbitmq);
  await applyTopology({ amqpUrl: servers.amqpUrl, managementUrl: servers.managementUrl, partitions });
  return servers;
}
