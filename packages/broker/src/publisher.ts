// Publishing that is only done when the broker has confirmed it into a queue.
import { type Logger, PermanentError, RetryableError } from '@pipeline/runtime';
import type { ConfirmChannel, Message } from 'amqplib';
import type { RecoveringConnection } from './connection.ts';
import type { Publisher } from './types.ts';

const CONFIRM_TIMEOUT_MS = 10_000;
const MAX_UNCONFIRMED = 500;

interface Unconfirmed {
  startedAt: number;
  isReturned: boolean;
}

/** A publisher on a confirm channel of its own, which is replaced whenever it closes. */
export function createPublisher(
  connection: RecoveringConnection,
  logger: Logger,
): Publisher & { problem(): string | null; close(): Promise<void> } {
  let channel: ConfirmChannel | null = null;
  let opening: Promise<void> | null = null;
  let closed = false;
  /** The last publish per exchange and routing key; the next one waits for it. */
  const tails = new Map<string, Promise<unknown>>();
  const unconfirmed = new Map<string, Unconfirmed>();
  const waitingForWindow: (() => void)[] = [];

  const openChannel = () => {
    if (opening || closed) return;
    opening = (async () => {
      const opened = await connection.model.createConfirmChannel();
      opened.on('error', (error: Error) => logger.warn({ err: error }, 'publisher.channel-failed'));
      opened.on('close', () => {
        if (channel === opened) channel = null;
      });
      opened.on('return', (message: Message) => {
        const entry = unconfirmed.get(`${message.fields.exchange}/${message.fields.routingKey}`);
        if (entry) entry.isReturned = true;
      });
      channel = opened;
    })()
      .catch((error) => logger.warn({ err: error }, 'publisher.channel-failed'))
      .finally(() => {
        opening = null;
      });
  };
  connection.model.on('connect', openChannel);
  connection.model.on('disconnect', () => {
    channel = null;
  });

  // One timer for all confirms. While an alarm holds us back confirms don't fail, they hang: then the time stands still.
  const watchdog = setInterval(() => {
    if (!channel && connection.problem() === null) openChannel();
    const now = performance.now();
    for (const entry of unconfirmed.values()) {
      if (connection.isBlocked()) entry.startedAt = now;
      else if (now - entry.startedAt > CONFIRM_TIMEOUT_MS && channel) {
        logger.warn('publisher.confirm-timed-out');
        const stuck = channel;
        channel = null;
        stuck.close().catch(() => {}); // its unconfirmed messages fail with it, which is the point
        openChannel();
        break;
      }
    }
  }, 500);

  const takeWindow = async () => {
    if (unconfirmed.size >= MAX_UNCONFIRMED)
      await new Promise<void>((resolve) => {
        waitingForWindow.push(resolve);
      });
  };

  const publishOne: Publisher['publish'] = async (exchange, routingKey, message) => {
    await takeWindow();
    const { type, messageId, correlationId } = message;
    const context = { exchange, type, messageId };
    const open = channel;
    if (!open) throw new RetryableError('broker-away', 'not connected to RabbitMQ', { context });
    const key = `${exchange}/${routingKey}`;
    const entry: Unconfirmed = { startedAt: performance.now(), isReturned: false };
    unconfirmed.set(key, entry);
    try {
      await new Promise<void>((resolve, reject) => {
        open.publish(
          exchange,
          routingKey,
          Buffer.from(JSON.stringify(message.body)),
          { persistent: true, mandatory: true, contentType: 'application/json', type, messageId, correlationId },
          (error: Error | null) => (error ? reject(error) : resolve()),
        );
      });
    } catch (cause) {
      throw /nack/i.test(String((cause as Error).message))
        ? new RetryableError('publish-refused', `${exchange} refused a message: a queue is full`, { cause, context })
        : new RetryableError('publish-unconfirmed', 'the channel closed before the confirm', { cause, context });
    } finally {
      unconfirmed.delete(key);
      waitingForWindow.shift()?.();
    }
    // Unroutable messages are returned and then confirmed all the same.
    if (entry.isReturned)
      throw new PermanentError('publish-unroutable', `${exchange} has no queue for it`, { context });
  };

  return {
    publish(exchange, routingKey, message) {
      const key = `${exchange}/${routingKey}`;
      const run = () => publishOne(exchange, routingKey, message);
      const mine = (tails.get(key) ?? Promise.resolve()).then(run, run);
      tails.set(key, mine);
      const forget = () => {
        if (tails.get(key) === mine) tails.delete(key);
      };
      mine.then(forget, forget);
      return mine;
    },
    problem: () => (channel ? null : (connection.problem() ?? 'the publishing channel is not open')),
    async close() {
      closed = true;
      clearInterval(watchdog);
      const open = channel;
      channel = null;
      await open?.close().catch(() => {}); // closing what is already closed is fine
    },
  };
}
