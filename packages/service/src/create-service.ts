// What every service is made of, opened in one place: HTTP, health, store, broker, topology, dead letters.
import { type Broker, createBroker, drainDeadQueue } from '@pipeline/broker';
import {
  createHealth,
  createHttpServer,
  createLifecycle,
  createMetrics,
  type Health,
  type HttpServer,
  type Logger,
  type Metrics,
  type Opening,
  RetryableError,
  replicaName,
  type Service,
} from '@pipeline/runtime';
import { openStore, type Store } from '@pipeline/store';

/** What is there from the beginning; store and broker only once they have been reached. */
export interface ServiceParts {
  app: HttpServer['app'];
  health: Health;
  metrics: Metrics;
  logger: Logger;
  /** Names this process among the service's replicas. */
  replica: string;
  /** Epoch ms: the database's clock, or this machine's until that is reached. */
  now(): number;
  /** @throws RetryableError `store-away` while there is none */
  store(): Store;
  /** @throws RetryableError `broker-away` while there is none */
  broker(): Broker;
}

/** What a service's own parts are built on. */
export interface OpenedParts extends Opening {
  store: Store;
  broker: Broker;
}

export interface ServiceOptions {
  name: string;
  config: { BIND_ADDRESS: string; MONGODB_URI: string; RABBITMQ_URL: string; PARTITIONS: number };
  /** Where its HTTP server listens, and the setting that says so. */
  port: { number: number; variable: string };
  /** What it uses on the broker, all of which has to be there. */
  uses: { exchanges: readonly string[]; queues: readonly string[] };
  /** Where the broker puts what it gives up of this service's: drained into its dead letters. */
  deadQueue?: string;
  logger: Logger;
  /**
   * Adds the service's routes and checks; HTTP answers before anything else is there.
   * @returns builds the rest on store and broker
   */
  build(parts: ServiceParts): (opened: OpenedParts) => void | Promise<void>;
}

export function createService({ name, config, logger, ...options }: ServiceOptions): Service {
  const health = createHealth();
  const metrics = createMetrics(name);
  const replica = replicaName(name);
  let store: Store | null = null;
  let broker: Broker | null = null;
  health.add('store', () => (store ? store.problem() : 'waiting for MongoDB'));
  health.add('broker', () => (broker ? broker.problem() : 'waiting for RabbitMQ'));
  const http = createHttpServer({
    bindAddress: config.BIND_ADDRESS,
    port: options.port.number,
    portVariable: options.port.variable,
    health,
    metrics,
    logger,
  });
  const open = options.build({
    app: http.app,
    health,
    metrics,
    logger,
    replica,
    now: () => store?.now() ?? Date.now(),
    store: () => store ?? throwAway('store-away', 'not connected to MongoDB yet'),
    broker: () => broker ?? throwAway('broker-away', 'not connected to RabbitMQ yet'),
  });

  return createLifecycle(async (opening) => {
    const { signal, opened } = opening;
    // First, so that /healthz and /readyz answer while the rest still waits.
    await http.listen();
    opened(http.close);
    const openedStore = await openStore({ uri: config.MONGODB_URI, logger, signal });
    store = openedStore;
    opened(openedStore.close);
    const { deadLetters } = openedStore;
    metrics.gaugeOf('dead_letters', 'Events given up that wait for an operator', () =>
      deadLetters.countOpen(name).catch(() => Number.NaN),
    );
    const openedBroker = await createBroker({ url: config.RABBITMQ_URL, name: replica, logger, signal });
    broker = openedBroker;
    opened(openedBroker.close);
    const { deadQueue, uses } = options;
    const queues = deadQueue ? [...uses.queues, deadQueue] : [...uses.queues];
    await openedBroker.awaitTopology({ exchanges: [...uses.exchanges], queues, partitions: config.PARTITIONS });
    if (deadQueue) {
      const keep: Parameters<typeof drainDeadQueue>[0]['keep'] = (letter) =>
        deadLetters.keep({ service: name, ...letter });
      opened(drainDeadQueue({ queue: deadQueue, broker: openedBroker, keep, logger }));
    }
    await open({ ...opening, store: openedStore, broker: openedBroker });
  });
}

function throwAway(code: 'store-away' | 'broker-away', message: string): never {
  throw new RetryableError(code, message);
}
