// One partition, seen from this replica: its place among the queue's consumers, of which the broker lets one be active.
//
//   outside      not subscribed
//   subscribed   it has a place: active if it was there first, else waiting behind
//   leaving      pause → drain → close; then it looks again what its role asks for
import type { Broker, Consumer, Delivery } from '@pipeline/broker';
import { partitionProbe } from '@pipeline/contracts';
import { createStallGuard, type StallGuard } from './stall-guard.ts';

export type Role = 'owner' | 'standby' | null;

export interface PartitionConsumerDeps {
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
}

export class PartitionConsumer {
  readonly #deps: PartitionConsumerDeps;
  readonly #guard: StallGuard;
  #consumer: Consumer | null = null;
  #isWanted = false;
  #leaving: Promise<void> | null = null;
  #role: Role = null;
  #ownersSubscription: string | null = null;
  /** The owner's place that ours is surely behind: the one known when ours was taken. */
  #behind: string | null = null;
  #openedAt: number | null = null;

  constructor(deps: PartitionConsumerDeps) {
    this.#deps = deps;
    this.#guard = createStallGuard({
      probe: () => this.#probe(),
      noticed: () => {
        deps.onStalled();
        this.#leaveAndSettle();
      },
    });
  }

  /**
   * Does what the role asks for. Who subscribed first is active, so nobody gives up a place before the owner has one;
   * whoever stands before the owner then leaves: pause, drain, close (docs/adr/0003).
   * @param ownersSubscription names the owner's present subscription; null if it has none
   */
  follow(role: Role, ownersSubscription: string | null): void {
    this.#role = role;
    this.#ownersSubscription = ownersSubscription;
    this.#settle();
  }

  role(): Role {
    return this.#role;
  }

  /** Epoch ms since when it has a place; null while it has none, or is about to leave it. */
  since(): number | null {
    return this.#consumer?.isOpen() && !this.#leaving ? this.#openedAt : null;
  }

  /** False while the role asks for a place and there is none. */
  isSettled(): boolean {
    return this.#role === null || this.#leaving !== null || this.#consumer?.isOpen() === true;
  }

  /** To be called once a second: notices when the broker delivers nothing, and then subscribes anew. */
  look(): void {
    const isReading = this.#role === 'owner' && !this.#leaving && this.#consumer?.isOpen() === true;
    this.#guard.look(isReading && !this.#consumer?.isFull());
  }

  isStalled(): boolean {
    return this.#guard.isStalled();
  }

  /** Pause, drain, close; the end. */
  async leave(): Promise<void> {
    this.#role = null;
    this.#ownersSubscription = null;
    await (this.#leaving ?? this.#pauseDrainClose());
  }

  /** Closes at once, as `follow` finds it next time. */
  async abandon(): Promise<void> {
    this.#role = null;
    this.#ownersSubscription = null;
    this.#isWanted = false;
    await this.#consumer?.close();
  }

  #settle(): void {
    if (this.#leaving) return; // and looks again afterwards
    const isBeforeOwner = this.#ownersSubscription !== null && this.#behind !== this.#ownersSubscription;
    const mustLeave =
      this.#role === null ? this.#ownersSubscription !== null : this.#role === 'standby' && isBeforeOwner;
    if (!this.#isWanted && this.#role !== null) this.#subscribe();
    else if (this.#isWanted && mustLeave) this.#leaveAndSettle();
  }

  #subscribe(): void {
    this.#isWanted = true;
    if (this.#consumer) this.#consumer.resume();
    else this.#consumer = this.#consume();
  }

  #consume(): Consumer {
    const { queue, prefetch, consumerTag, broker, now, forget, onDelivery, onSubscribed } = this.#deps;
    return broker.consume({
      queue,
      prefetch,
      consumerTag,
      onDelivery: (delivery) => {
        this.#guard.delivered();
        if (delivery.type === partitionProbe.type) delivery.ack();
        else onDelivery(delivery);
      },
      onOpen: () => {
        this.#openedAt = Math.round(now());
        this.#behind = this.#ownersSubscription;
        forget();
      },
      onSubscribed,
      onClose: () => {
        this.#openedAt = null;
        forget();
      },
    });
  }

  #leaveAndSettle(): void {
    this.#leaving = this.#pauseDrainClose().finally(() => {
      this.#leaving = null;
      this.#settle();
    });
  }

  async #pauseDrainClose(): Promise<void> {
    this.#consumer?.pause();
    await this.#deps.drain();
    await this.#consumer?.close();
    this.#isWanted = false;
  }

  #probe(): Promise<void> {
    const messageId = `probe:${this.#deps.consumerTag}`;
    const message = { type: partitionProbe.type, messageId, correlationId: messageId, body: {} };
    // The default exchange: straight into the queue.
    return this.#deps.broker.publish('', this.#deps.queue, message);
  }
}
