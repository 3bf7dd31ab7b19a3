// What the services see of the broker.
import type { OutgoingMessage } from '@pipeline/contracts';

/** A message as it arrived. */
export interface Delivery {
  type: string;
  messageId: string;
  correlationId: string;
  exchange: string;
  routingKey: string;
  content: Buffer;
  headers: Record<string, unknown>;
  /** How often the broker has delivered it before (0 the first time). */
  deliveryCount: number;
  /** Done with it: the broker hears of it soon. Does nothing if its channel is gone (then it is delivered again). */
  ack(): void;
}

export interface Publisher {
  /**
   * Publishes persistently with confirm and `mandatory`. At most one message per routing key is unconfirmed at a time:
   * further ones wait their turn, so that a refusal never reorders a user's messages.
   * @throws RetryableError `broker-away`, `publish-refused` (queue full) or `publish-unconfirmed` (outcome unknown:
   * publish again with the same id), PermanentError `publish-unroutable`
   */
  publish(exchange: string, routingKey: string, message: OutgoingMessage): Promise<void>;
}

export interface ConsumerOptions {
  /** A queue of the topology, or a fanout exchange: then a queue of this process alone, gone with its connection. */
  queue: string | { everythingOf: string };
  prefetch: number;
  consumerTag: string;
  /** Called for every delivery, in queue order; must not throw. */
  onDelivery(delivery: Delivery): void;
  /** A channel has opened: whatever was remembered of earlier deliveries is void. */
  onOpen?(): void;
  /** The broker has put this consumer in line: it gets deliveries once nobody before it does. */
  onSubscribed?(): void;
  /** The channel is gone, for whatever reason: its unacked deliveries will come again. */
  onClose?(): void;
}

/** A subscription that outlives its channels. */
export interface Consumer {
  isOpen(): boolean;
  /** As many deliveries are unacked as the prefetch allows: the broker delivers no more until one is acked. */
  isFull(): boolean;
  /** Stops handing out deliveries; those that arrive stay unacked and return to the queue when the channel closes. Until `resume`. */
  pause(): void;
  /** Closes the channel (never `basic.cancel` first, see docs/adr) and stays closed until `resume`. */
  close(): Promise<void>;
  /** Subscribes again after `close`. */
  resume(): void;
}

export interface Broker extends Publisher {
  consume(options: ConsumerOptions): Consumer;
  /**
   * Waits until the topology step has run, then checks passively that everything this service uses is there.
   * @throws ConfigError naming what is missing or differs
   */
  awaitTopology(needs: { exchanges: string[]; queues: string[]; partitions: number }): Promise<void>;
  /** Null while both connections work, else the reason why not. */
  problem(): string | null;
  /** True while the broker holds publishers back (memory or disk alarm). */
  isBlocked(): boolean;
  close(): Promise<void>;
}
