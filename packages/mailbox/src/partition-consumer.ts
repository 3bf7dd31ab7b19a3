// One partition, seen from this replica: its place among the queue's consumers, of which the broker lets one be active.
import type { Broker, Consumer, Delivery } from '@pipeline/broker';
import { partitionProbe } from '@pipeline/contracts';
import { createStallGuard } from './stall-guard.ts';

export type Role = 'owner' | 'standby' | null;

export interface PartitionConsumer {
  /**
   * Does what the role asks for. Who subscribed first is active, so nobody gives up a place before the owner has one;
   * whoever stands before the owner then leaves: pause, drain, close (docs/adr/0003).
   * @param ownersPlace names the owner's present subscription; null if it has none
   */
  follow(role: Role, ownersPlace: string | null): void;
  role(): Role;
  /** Epoch ms since when it has a place; null while it has none, or is about to leave it. */
  since(): number | null;
  /** False while the role asks for a place and there is none. */
  isSettled(): boolean;
  /** To be called once a second: notices when the broker delivers nothing, and then subscribes anew. */
  look(): void;
  isStalled(): boolean;
  /** Pause, drain, close; the end. */
  leave(): Promise<void>;
  /** Closes at once, as `follow` finds it next time. */
  abandon(): Promise<void>;
}

export function createPartitionConsumer(options: {
  queue: string;
  prefetch: number;
  consumerTag: string;
  broker: Pick<Broker, 'consume' | 'publish'>;
  now(): number;
  onDelivery(delivery: Delivery): void;
  /** Waits until what has begun is finished. */
  drain(): Promise<void>;
  /** The channel has opened or closed: whatever is remembered is void. */
  forget(): void;
  onSubscribed(): void;
  onStalled(): void;
}): PartitionConsumer {
  const { queue, prefetch, consumerTag, onSubscribed } = options;
  let consumer: Consumer | null = null;
  let isWanted = false;
  let leaving: Promise<void> | null = null;
  let role: Role = null;
  let ownersPlace: string | null = null;
  /** The owner's place that ours is surely behind: the one known when ours was taken. */
  let behind: string | null = null;
  let openedAt: number | null = null;

  const guard = createStallGuard({
    probe: () => {
      const messageId = `probe:${consumerTag}`;
      // The default exchange: straight into the queue.
      return options.broker.publish('', queue, {
        type: partitionProbe.type,
        messageId,
        correlationId: messageId,
        body: {},
      });
    },
    noticed() {
      options.onStalled();
      leaveAndSettle();
    },
  });

  const subscribe = () => {
    isWanted = true;
    if (consumer) return consumer.resume();
    consumer = options.broker.consume({
      queue,
      prefetch,
      consumerTag,
      onDelivery(delivery) {
        guard.delivered();
        if (delivery.type === partitionProbe.type) delivery.ack();
        else options.onDelivery(delivery);
      },
      onOpen() {
        openedAt = Math.round(options.now());
        behind = ownersPlace;
        options.forget();
      },
      onSubscribed,
      onClose() {
        openedAt = null;
        options.forget();
      },
    });
  };

  const leave = async () => {
    consumer?.pause();
    await options.drain();
    await consumer?.close();
    isWanted = false;
  };

  const leaveAndSettle = () => {
    leaving = leave().finally(() => {
      leaving = null;
      settle();
    });
  };

  const settle = () => {
    if (leaving) return; // and looks again afterwards
    const isBeforeOwner = ownersPlace !== null && behind !== ownersPlace;
    const mustLeave = role === null ? ownersPlace !== null : role === 'standby' && isBeforeOwner;
    if (!isWanted && role !== null) subscribe();
    else if (isWanted && mustLeave) leaveAndSettle();
  };

  return {
    follow(newRole, place) {
      role = newRole;
      ownersPlace = place;
      settle();
    },
    role: () => role,
    since: () => (consumer?.isOpen() && !leaving ? openedAt : null),
    isSettled: () => role === null || leaving !== null || consumer?.isOpen() === true,
    look() {
      guard.look(role === 'owner' && !leaving && consumer?.isOpen() === true && !consumer.isFull());
    },
    isStalled: guard.isStalled,
    async leave() {
      role = null;
      ownersPlace = null;
      await (leaving ?? leave());
    },
    async abandon() {
      role = null;
      ownersPlace = null;
      isWanted = false;
      await consumer?.close();
    },
  };
}
