// What a service does about the topology: wait for it, look at it, never change it.
import { mailboxQueue, TOPOLOGY_MARKER } from '@pipeline/contracts';
import { ConfigError, describeError, sleep } from '@pipeline/runtime';
import type { Channel } from 'amqplib';
import type { RecoveringConnection } from './connection.ts';

const POLL_MS = 300;
const NOT_FOUND = 404;

/**
 * Waits until the topology step has declared its marker, then checks passively what this service uses.
 * @throws ConfigError naming everything that is missing, or another number of partitions
 */
export async function checkTopology(
  connection: RecoveringConnection,
  needs: { exchanges: string[]; queues: string[]; partitions: number },
  options: { onWaiting(reason: string): void; signal?: AbortSignal | undefined },
): Promise<void> {
  while (!options.signal?.aborted) {
    try {
      const reason = connection.problem() ?? (await findLack(connection, needs));
      if (reason === null) return;
      options.onWaiting(reason);
    } catch (error) {
      if (error instanceof ConfigError) throw error;
      // The connection was lost in between, say: look again.
      options.onWaiting(`the topology could not be read: ${describeError(error)}`);
    }
    await sleep(POLL_MS, options.signal);
  }
}

/** @returns what has to be waited for, null if everything is there */
async function findLack(
  connection: RecoveringConnection,
  needs: { exchanges: string[]; queues: string[]; partitions: number },
): Promise<string | null> {
  if (!(await exists(connection, (channel) => channel.checkExchange(TOPOLOGY_MARKER))))
    return `the topology step has not run: exchange ${TOPOLOGY_MARKER} is missing`;
  const missing: string[] = [];
  for (const name of needs.exchanges)
    if (!(await exists(connection, (channel) => channel.checkExchange(name)))) missing.push(`exchange ${name}`);
  for (const name of needs.queues)
    if (!(await exists(connection, (channel) => channel.checkQueue(name)))) missing.push(`queue ${name}`);
  if (missing.length > 0)
    throw new ConfigError(
      `the broker's topology differs: missing ${missing.join(', ')} (PARTITIONS is ${needs.partitions} here; see the topology step)`,
    );
  // One queue more than we know of means that the topology was made for more partitions than PARTITIONS says here.
  const beyond = mailboxQueue('router', needs.partitions);
  if (await exists(connection, (channel) => channel.checkQueue(beyond)))
    throw new ConfigError(
      `PARTITIONS: is ${needs.partitions} here, but the broker has ${beyond}: it was set up for more`,
    );
  return null;
}

/** A failed passive check closes its channel, so each one gets its own. */
async function exists(
  connection: RecoveringConnection,
  check: (channel: Channel) => Promise<unknown>,
): Promise<boolean> {
  const channel = await connection.model.createChannel();
  channel.on('error', () => {}); // the rejection below says it
  try {
    await check(channel);
    await channel.close();
    return true;
  } catch (error) {
    if ((error as { code?: unknown }).code === NOT_FOUND) return false;
    throw error;
  }
}
