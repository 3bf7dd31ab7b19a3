// Which partitions this process reads: subscribed to, given up while the database is away, drained when it stops.
import type { Broker, Consumer, Delivery } from '@pipeline/broker';
import { type MailboxService, mailboxQueues } from '@pipeline/contracts';
import { backoffMs, errorFields, type Logger, sleep } from '@pipeline/runtime';
import type { Store } from '@pipeline/store';

export interface Subscriptions {
  start(): void;
  /** Without the database nothing can be decided: give the partitions up (another replica may reach it), come back with it. */
  storeAway(error: unknown): void;
  /** Pause, drain, close each partition. */
  stop(): Promise<void>;
  /** Null while every partition is subscribed, else the reason why not. */
  problem(): string | null;
}

export function createSubscriptions(options: {
  service: MailboxService;
  replica: string;
  partitions: number;
  prefetch: number;
  broker: Pick<Broker, 'consume'>;
  store: Pick<Store, 'problem' | 'whenUp'>;
  logger: Logger;
  onDelivery(partition: number, delivery: Delivery): void;
  /** Waits until what the partition has begun is finished. */
  drain(partition: number): Promise<void>;
  /** Its channel has opened or closed: whatever is remembered of it is void. */
  forget(partition: number): void;
}): Subscriptions {
  const { broker, store, logger } = options;
  const stopping = new AbortController();
  let consumers: Consumer[] = [];
  let suspended: Promise<void> | null = null;

  return {
    start() {
      consumers = mailboxQueues(options.service, options.partitions).map((queue, partition) =>
        broker.consume({
          queue,
          prefetch: options.prefetch,
          consumerTag: `${options.replica} ${queue}`,
          onDelivery: (delivery) => options.onDelivery(partition, delivery),
          onOpen: () => options.forget(partition),
          onClose: () => options.forget(partition),
        }),
      );
    },
    storeAway(error) {
      if (suspended) return;
      logger.warn(errorFields(error), 'mailbox.suspended');
      suspended = (async () => {
        await Promise.all(consumers.map((consumer) => consumer.close()));
        for (let attempt = 0; !stopping.signal.aborted; attempt++) {
          await sleep(backoffMs(attempt, 100, 1_000), stopping.signal);
          await store.whenUp(stopping.signal);
          if (store.problem() === null) break;
        }
        if (stopping.signal.aborted) return;
        suspended = null;
        logger.info('mailbox.resumed');
        for (const consumer of consumers) consumer.resume();
      })();
    },
    async stop() {
      stopping.abort();
      for (const consumer of consumers) consumer.pause();
      await Promise.all(
        consumers.map(async (consumer, partition) => {
          await options.drain(partition);
          await consumer.close();
        }),
      );
    },
    problem() {
      if (suspended) return 'the database is away: partitions given up';
      const closed = consumers.filter((consumer) => !consumer.isOpen()).length;
      if (consumers.length === 0) return 'not subscribed yet';
      return closed === 0 ? null : `${closed} of ${consumers.length} partitions not subscribed`;
    },
  };
}
