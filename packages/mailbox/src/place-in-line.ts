// One partition, seen from this replica: its place among the queue's consumers, of which the broker lets one be active.
import type { Broker, Consumer, Delivery } from '@pipeline/broker';

/** Owners go first where the broker heeds priorities (RabbitMQ 4); elsewhere whoever came first does. */
const OWNER_PRIORITY = 10;

export type Role = 'owner' | 'standby' | null;

export interface PlaceInLine {
  /**
   * Does what the role asks for. Nobody gives up a place before the owner has one, so a partition is never without
   * consumers; whoever may stand before the owner then leaves: pause, drain, close (docs/adr/0003).
   * @param ownersPlace names the owner's present subscription; null if it has none
   */
  follow(role: Role, ownersPlace: string | null): void;
  role(): Role;
  /** Epoch ms since when it has a place; null while it has none, or is about to leave it. */
  since(): number | null;
  /** False while the role asks for a place and there is none. */
  isSettled(): boolean;
  /** Pause, drain, close; the end. */
  leave(): Promise<void>;
  /** Closes at once, as `follow` finds it next time. */
  abandon(): Promise<void>;
}

export function createPlaceInLine(options: {
  queue: string;
  prefetch: number;
  consumerTag: string;
  broker: Pick<Broker, 'consume'>;
  now(): number;
  onDelivery(delivery: Delivery): void;
  /** Waits until what has begun is finished. */
  drain(): Promise<void>;
  /** The channel has opened or closed: whatever is remembered is void. */
  forget(): void;
  onSubscribed(): void;
}): PlaceInLine {
  const { queue, prefetch, consumerTag, onDelivery, onSubscribed } = options;
  let consumer: Consumer | null = null;
  let isWanted = false;
  let leaving: Promise<void> | null = null;
  let role: Role = null;
  let ownersPlace: string | null = null;
  /** The owner's place that ours is surely behind: the one known when ours was taken. */
  let behind: string | null = null;
  let openedAt: number | null = null;

  const subscribe = () => {
    isWanted = true;
    if (consumer) return consumer.resume();
    consumer = options.broker.consume({
      queue,
      prefetch,
      consumerTag,
      priority: () => (role === 'owner' ? OWNER_PRIORITY : 0),
      onDelivery,
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

  const settle = () => {
    if (leaving) return; // and looks again afterwards
    const isBeforeOwner = ownersPlace !== null && behind !== ownersPlace;
    const mustLeave = role === null ? ownersPlace !== null : role === 'standby' && isBeforeOwner;
    if (!isWanted && role !== null) subscribe();
    else if (isWanted && mustLeave)
      leaving = leave().finally(() => {
        leaving = null;
        settle();
      });
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
