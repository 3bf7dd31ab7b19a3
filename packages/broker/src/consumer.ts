// A subscription to one queue that outlives its channels. Its stop is pause, drain, channel.close(), in that order.
import { backoffMs, type Logger, waitAtMost } from '@pipeline/runtime';
import type { Channel, ConsumeMessage } from 'amqplib';
import { createAcks } from './acks.ts';
import type { RecoveringConnection } from './connection.ts';
import type { Consumer, ConsumerOptions, Delivery } from './types.ts';

const REOPEN_FIRST_MS = 100;
const REOPEN_MAX_MS = 1_000;
/** The broker answers a close at once, or not at all. */
const CLOSE_MS = 1_000;

export function createConsumer(connection: RecoveringConnection, logger: Logger, options: ConsumerOptions): Consumer {
  const queue = typeof options.queue === 'string' ? options.queue : options.queue.everythingOf;
  let channel: Channel | null = null;
  /** On `channel`. */
  let flushAcks = () => {};
  let unacked = () => 0;
  let isWanted = true;
  let isPaused = false;
  let isOpening = false;
  let isSubscribed = false;
  let failures = 0;
  let retryTimer: NodeJS.Timeout | undefined;

  const lost = (closed: Channel) => {
    if (channel !== closed) return;
    channel = null;
    isSubscribed = false;
    options.onClose?.();
    scheduleOpen();
  };

  const scheduleOpen = () => {
    if (!isWanted || retryTimer) return;
    retryTimer = setTimeout(
      () => {
        retryTimer = undefined;
        open();
      },
      backoffMs(failures, REOPEN_FIRST_MS, REOPEN_MAX_MS),
    );
  };

  const open = async () => {
    if (!isWanted || channel || isOpening) return;
    if (connection.problem() !== null) return; // 'connect' calls again
    isOpening = true;
    try {
      const opened = await connection.model.createChannel();
      opened.on('error', (error: Error) => logger.warn({ queue, err: error }, 'consumer.channel-failed'));
      opened.on('close', () => lost(opened));
      await opened.prefetch(options.prefetch);
      if (!isWanted) return void (await closed(opened));
      // The channel has this one consumer: what is acked up to a tag is its own.
      const acks = createAcks<ConsumeMessage>(opened, options.prefetch);
      opened.on('close', acks.end);
      channel = opened;
      flushAcks = acks.flush;
      unacked = acks.unacked;
      options.onOpen?.();
      await opened.consume(
        await queueToConsume(opened, options.queue),
        (message) => {
          // null: the broker has cancelled us (queue deleted, consumer time-out). Never carry on: begin anew.
          if (message === null) {
            logger.warn({ queue }, 'consumer.cancelled');
            acks.flush();
            lost(opened);
            void closed(opened);
            return;
          }
          acks.delivered(message);
          if (channel !== opened || isPaused) return;
          const ack = (isUrgent: boolean) => channel === opened && acks.ack(message, isUrgent);
          options.onDelivery(toDelivery(message, ack));
        },
        { consumerTag: options.consumerTag },
      );
      failures = 0;
      isSubscribed = channel === opened;
      if (!isWanted) await closeChannel();
      else if (isSubscribed) options.onSubscribed?.();
    } catch (error) {
      failures++;
      logger.warn({ queue, err: error }, 'consumer.open-failed');
      await closeChannel();
    } finally {
      isOpening = false;
      // It failed, or was closed and wanted again in the meantime.
      if (!channel) scheduleOpen();
    }
  };

  const closeChannel = async () => {
    const closing = channel;
    channel = null;
    isSubscribed = false;
    if (!closing) return;
    flushAcks();
    options.onClose?.();
    await closed(closing);
  };

  connection.model.on('connect', open);
  void open();

  return {
    isOpen: () => isSubscribed,
    isFull: () => isSubscribed && unacked() >= options.prefetch,
    pause() {
      isPaused = true;
    },
    async close() {
      isWanted = false;
      clearTimeout(retryTimer);
      retryTimer = undefined;
      await closeChannel();
    },
    resume() {
      isWanted = true;
      isPaused = false;
      void open();
    },
  };
}

async function queueToConsume(channel: Channel, wanted: ConsumerOptions['queue']): Promise<string> {
  if (typeof wanted === 'string') return wanted;
  const { queue } = await channel.assertQueue('', { exclusive: true, autoDelete: true });
  await channel.bindQueue(queue, wanted.everythingOf, '');
  return queue;
}

/** Closes a channel. Its own promise never settles if the connection breaks meanwhile, but 'close' is emitted. */
async function closed(channel: Channel): Promise<void> {
  const isClosed = new Promise((resolve) => channel.once('close', resolve));
  const isRefused = channel.close().then(
    () => isClosed,
    () => {}, // already closed by the other side
  );
  await waitAtMost(CLOSE_MS, Promise.race([isClosed, isRefused]));
}

function toDelivery(message: ConsumeMessage, ack: (isUrgent: boolean) => void): Delivery {
  const { properties, fields } = message;
  const headers: Record<string, unknown> = properties.headers ?? {};
  const count = headers['x-delivery-count'];
  const deliveryCount = typeof count === 'number' ? count : 0;
  return {
    type: String(properties.type ?? ''),
    messageId: String(properties.messageId ?? ''),
    correlationId: String(properties.correlationId ?? ''),
    exchange: fields.exchange,
    routingKey: fields.routingKey,
    content: message.content,
    headers,
    deliveryCount,
    // Of one that came before a process may die again: without a rest, its count comes to a stand.
    ack: () => ack(deliveryCount > 0),
  };
}
