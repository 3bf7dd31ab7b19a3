// The one connection to MongoDB: opened with patience, watched, and a clock that all processes share.
import { ConfigError, describeError, type Logger, RetryableError, sleep } from '@pipeline/runtime';
import mongoose, { type Connection } from 'mongoose';

const PING_INTERVAL_MS = 1_000;
const CLOCK_REFRESH_MS = 10_000;
const CLOCK_SAMPLES = 5;

export interface StoreConnection {
  mongoose: Connection;
  /** Epoch ms on MongoDB's clock: own monotonic clock plus a measured offset. Comparable between processes. */
  now(): number;
  /** Null while the database answers, else the reason why not. */
  problem(): string | null;
  /** Resolves once the database answers (at once if it does). */
  whenUp(signal?: AbortSignal): Promise<void>;
  close(): Promise<void>;
}

/**
 * Connects to a replica set, waiting with backoff of at most 1 s for as long as it takes.
 * @param signal ends the waiting; the promise then rejects.
 */
export async function connectStore(options: {
  uri: string;
  logger: Logger;
  signal?: AbortSignal;
}): Promise<StoreConnection> {
  const { uri, logger, signal } = options;
  const connection = mongoose.createConnection();
  let problem: string | null = 'not connected yet';
  let offsetMs = 0;
  let closed = false;

  for (let attempt = 0; ; attempt++) {
    try {
      await connection.openUri(uri, {
        serverSelectionTimeoutMS: 2_000,
        connectTimeoutMS: 2_000,
        socketTimeoutMS: 20_000,
        // A server that falls silent is noticed after this and the time-out above.
        heartbeatFrequencyMS: 2_000,
        // Mongoose would hold operations back for 10 s and then fail them with an error of its own.
        bufferCommands: false,
        maxPoolSize: 20,
        // On a replica set a majority write is a journaled one.
        writeConcern: { w: 'majority' },
        readConcern: { level: 'majority' },
        // MongoDB would note each write of a retryable command, which costs about as much as the write. Whoever writes
        // here repeats what has failed by itself, knowing what a repeat means.
        retryWrites: false,
        ignoreUndefined: true,
        autoIndex: false,
      });
      break;
    } catch (error) {
      if (signal?.aborted)
        throw new RetryableError('store-away', 'stopped while waiting for MongoDB', { cause: error });
      const { name, message } = error as Error;
      // The parser's words would quote a password that stands where a host should.
      if (message.startsWith('Unable to parse')) throw new ConfigError('MONGODB_URI: its hosts can not be read');
      if (/^Mongo(Parse|InvalidArgument)Error$/.test(name))
        throw new ConfigError(`MONGODB_URI: ${describeError(error)}`);
      problem = `MongoDB is unreachable: ${describeError(error)}`;
      if (attempt === 0) logger.warn({ err: error }, 'store.awaited');
      await sleep(500, signal);
    }
  }

  /** Asks several times: the quickest answer tells the time best, and the first of a process that starts is slow. */
  const measureClock = async () => {
    let quickestMs = Number.POSITIVE_INFINITY;
    let measured = 0;
    for (let times = 0; times < CLOCK_SAMPLES; times++) {
      const before = performance.now();
      const hello = await connection.db?.admin().command({ hello: 1 }, { timeoutMS: 3_000 });
      const after = performance.now();
      if (!hello?.setName)
        throw new Error('MongoDB is not a replica set member: transactions need one (a single node is enough)');
      if (!hello.isWritablePrimary) throw new Error('no writable primary');
      if (after - before >= quickestMs) continue;
      quickestMs = after - before;
      measured = (hello.localTime as Date).getTime() - (before + after) / 2;
    }
    offsetMs = measured;
  };

  const watch = async () => {
    let measuredAt = Number.NEGATIVE_INFINITY;
    let bootedAt = 0;
    while (!closed) {
      try {
        // The monotonic clock stands still while the machine sleeps.
        const hasSlept = Math.abs(Date.now() - performance.now() - bootedAt) > PING_INTERVAL_MS;
        if (problem !== null || hasSlept || performance.now() - measuredAt > CLOCK_REFRESH_MS) {
          await measureClock();
          measuredAt = performance.now();
          bootedAt = Date.now() - measuredAt;
        } else {
          await connection.db?.admin().command({ ping: 1 }, { timeoutMS: 3_000 });
        }
        if (problem !== null) logger.info('store.connected');
        problem = null;
      } catch (error) {
        if (problem === null) logger.warn({ err: error }, 'store.lost');
        problem = describeError(error);
      }
      await sleep(problem === null ? PING_INTERVAL_MS : 300, closing.signal);
    }
  };
  const closing = new AbortController();
  const watching = watch();

  const whenUp = async (waitSignal?: AbortSignal) => {
    while (problem !== null && !waitSignal?.aborted && !closed) await sleep(50, waitSignal);
  };
  await whenUp(signal);

  return {
    mongoose: connection,
    now: () => performance.now() + offsetMs,
    problem: () => problem,
    whenUp,
    async close() {
      closed = true;
      closing.abort();
      await watching;
      await connection.close();
    },
  };
}
