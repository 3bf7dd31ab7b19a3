// Publishing that is only done when the broker has confirmed it into a queue.
import { errorCode, type Logger, PermanentError, RetryableError, waitAtMost } from '@pipeline/runtime';
import type { ConfirmChannel, Message } from 'amqplib';
import type { RecoveringConnection } from './connection.ts';
import type { Publisher } from './types.ts';

const CONFIRM_TIMEOUT_MS = 10_000;
const WATCH_INTERVAL_MS = 500;
/** A broker that holds publishers back answers no close. */
const CLOSE_MS = 1_000;
const MAX_UNCONFIRMED = 500;

interface Unconfirmed {
  channel: ConfirmChannel;
  startedAt: number;
  isReturned: boolean;
  fail(error: Error): void;
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
  let inWindow = 0;
  /** Whoever leaves the window gives its place to the first of these. */
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
        if (entry?.channel === opened) entry.isReturned = true;
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
    if (connection.isBlocked()) for (const entry of unconfirmed.values()) entry.startedAt = now;
    const late = [...unconfirmed.values()].find((entry) => now - entry.startedAt > CONFIRM_TIMEOUT_MS);
    if (late) replaceChannel(late.channel);
  }, WATCH_INTERVAL_MS);

  /** Gives up everything unconfirmed on a channel that no longer confirms; it may never answer its close either. */
  const replaceChannel = (stuck: ConfirmChannel) => {
    logger.warn('publisher.confirm-timed-out');
    if (channel === stuck) channel = null;
    for (const entry of unconfirmed.values())
      if (entry.channel === stuck) entry.fail(new Error('no confirm came in time'));
    stuck.close().catch(() => {}); // closing what is already closed is fine
    if (!channel) openChannel();
  };

  const enterWindow = async () => {
    if (inWindow < MAX_UNCONFIRMED) inWindow++;
    else
      await new Promise<void>((resolve) => {
        waitingForWindow.push(resolve);
      });
  };
  const leaveWindow = () => {
    const next = waitingForWindow.shift();
    if (next) next();
    else inWindow--;
  };

  const publishOne: Publisher['publish'] = async (exchange, routingKey, message) => {
    await enterWindow();
    const { type, messageId, correlationId } = message;
    const context = { exchange, type, messageId };
    const key = `${exchange}/${routingKey}`;
    let isReturned = false;
    try {
      const open = channel;
      if (!open) throw new RetryableError('broker-away', 'not connected to RabbitMQ', { context });
      await new Promise<void>((resolve, reject) => {
        const entry = { channel: open, startedAt: performance.now(), isReturned: false, fail: reject };
        unconfirmed.set(key, entry);
        open.publish(
          exchange,
          routingKey,
          Buffer.from(JSON.stringify(message.body)),
          { persistent: true, mandatory: true, contentType: 'application/json', type, messageId, correlationId },
          (error: Error | null) => {
            isReturned = entry.isReturned;
            if (error) reject(error);
            else resolve();
          },
        );
      });
    } catch (cause) {
      if (cause instanceof RetryableError) throw cause;
      throw /nack/i.test(String((cause as Error).message))
        ? new RetryableError('publish-refused', `${exchange} refused a message: a queue is full`, { cause, context })
        : new RetryableError('publish-unconfirmed', 'the channel closed before the confirm', { cause, context });
    } finally {
      unconfirmed.delete(key);
      leaveWindow();
    }
    // Unroutable messages are returned and then confirmed all the same.
    if (isReturned) throw new PermanentError('publish-unroutable', `${exchange} has no queue for it`, { context });
  };

  return {
    publish(exchange, routingKey, message) {
      const key = `${exchange}/${routingKey}`;
      // What waited behind a failed publish fails with it: had it passed, the two would have changed places.
      const behindFailed = (cause: unknown) => {
        const context = { exchange, type: message.type, messageId: message.messageId };
        const code = errorCode(cause) === 'publish-unroutable' ? 'publish-refused' : errorCode(cause);
        throw new RetryableError(code, 'a message before it was not published', { cause, context });
      };
      const run = () => publishOne(exchange, routingKey, message);
      const mine = (tails.get(key) ?? Promise.resolve()).then(run, behindFailed);
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
      if (open) await waitAtMost(CLOSE_MS, open.close()).catch(() => {}); // closing what is already closed is fine
    },
  };
}
