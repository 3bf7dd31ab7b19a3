// One process's access to RabbitMQ: a connection for publishing, another for consuming.
import { type Logger, RetryableError } from '@pipeline/runtime';
import { checkTopology } from './check-topology.ts';
import { openConnection } from './connection.ts';
import { createConsumer } from './consumer.ts';
import { createPublisher } from './publisher.ts';
import type { Broker, Consumer } from './types.ts';

const UNUSUAL_WAIT_MS = 2_000;

/**
 * Connects in the background, for as long as it takes; `problem()` says how it stands.
 * Acks on a connection that an alarm has blocked aren't processed, hence the two.
 * @param name shown in the management UI, e.g. `router@host-1`
 */
export async function createBroker(options: {
  url: string;
  name: string;
  logger: Logger;
  signal?: AbortSignal;
}): Promise<Broker> {
  const { url, name, logger, signal } = options;
  const publishing = await openConnection({ url, logger, name: `${name} publishing` });
  const consuming = await openConnection({ url, logger, name: `${name} consuming` });
  const publisher = createPublisher(publishing, logger);
  const consumers: Consumer[] = [];
  let topologyProblem: string | null = null;

  return {
    publish: publisher.publish,
    consume(consumerOptions) {
      const consumer = createConsumer(consuming, logger, consumerOptions);
      consumers.push(consumer);
      return consumer;
    },
    async awaitTopology(needs) {
      const startedAt = performance.now();
      let warnedOf: string | null = null;
      await checkTopology(consuming, needs, {
        onWaiting: (reason) => {
          topologyProblem = reason;
          // A connection takes a moment at every start: that is nothing to warn of.
          if (warnedOf === reason || performance.now() - startedAt < UNUSUAL_WAIT_MS) return;
          warnedOf = reason;
          logger.warn({ reason }, 'topology.awaited');
        },
        signal,
      });
      topologyProblem = null;
      if (signal?.aborted) throw new RetryableError('broker-away', 'stopped while waiting for the topology');
    },
    problem: () => consuming.problem() ?? publisher.problem() ?? topologyProblem,
    isBlocked: () => publishing.isBlocked(),
    async close() {
      await Promise.all(consumers.map((consumer) => consumer.close()));
      await publisher.close();
      await Promise.all([consuming.close(), publishing.close()]);
    },
  };
}
