// A connection to RabbitMQ that comes back by itself; channels and consumers are rebuilt by their owners.
import { describeError, type Logger, waitAtMost } from '@pipeline/runtime';
import { connect, type RecoveringChannelModel } from 'amqplib';

const CLOSE_MS = 1_000;

export interface RecoveringConnection {
  model: RecoveringChannelModel;
  /** Null while connected, else the reason why not. */
  problem(): string | null;
  isBlocked(): boolean;
  close(): Promise<void>;
}

/** Reconnects after at most 1 s; never gives up. */
export async function openConnection(options: {
  url: string;
  name: string;
  logger: Logger;
}): Promise<RecoveringConnection> {
  const { logger, name } = options;
  const url = new URL(options.url);
  // The broker gives a frozen process up after about three heartbeats, and only then its partitions: its default of 60 s
  // is far too slow, and less than 5 s would take a busy machine for a frozen one.
  if (!url.searchParams.has('heartbeat')) url.searchParams.set('heartbeat', '5');
  let problem: string | null = 'not connected to RabbitMQ yet';
  let blocked = false;
  const model = await connect(url.href, {
    noDelay: true,
    timeout: 5_000,
    clientProperties: { connection_name: name },
    recovery: { initialDelay: 100, maxDelay: 1_000, waitForConnect: false },
  });
  model.setMaxListeners(0); // one listener per partition
  model.on('connect', () => {
    problem = null;
    blocked = false;
    logger.info({ connection: name }, 'broker.connected');
  });
  model.on('disconnect', (error: Error) => {
    problem = `RabbitMQ connection lost: ${describeError(error)}`;
    logger.warn({ connection: name, err: error }, 'broker.lost');
  });
  model.on('connect-failed', (error: Error) => {
    const reason = `RabbitMQ is unreachable: ${describeError(error)}`;
    if (problem !== reason) logger.warn({ connection: name, err: error }, 'broker.awaited');
    problem = reason;
  });
  model.on('blocked', (reason: string) => {
    blocked = true;
    logger.warn({ connection: name, reason }, 'broker.blocked');
  });
  model.on('unblocked', () => {
    blocked = false;
    logger.info({ connection: name }, 'broker.unblocked');
  });
  // 'close' and 'disconnect' follow every error and say the same.
  model.on('error', () => {});
  model.on('handler-error', (error: Error) => logger.error({ err: error, stack: error.stack }, 'broker.handler-threw'));
  return {
    model,
    problem: () => problem,
    isBlocked: () => blocked,
    // A broker that hangs would never answer.
    close: () => waitAtMost(CLOSE_MS, model.close()),
  };
}
