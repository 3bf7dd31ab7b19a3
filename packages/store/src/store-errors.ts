// Driver errors, told apart by what they mean for us.
import { RetryableError } from '@pipeline/runtime';

const DUPLICATE_KEY = 11000;

/** True for a unique index violation. */
export function isDuplicateKey(error: unknown): boolean {
  return (error as { code?: unknown } | null)?.code === DUPLICATE_KEY;
}

/**
 * Server codes that say nothing against the operation: not primary, shutting down, write concern not reached, time-outs,
 * locks, and what an operator has to mend (rights, disk). No event may be given up for any of them.
 */
const PASSING_CODES = new Set([
  6, 7, 13, 18, 24, 46, 50, 64, 89, 91, 112, 133, 134, 189, 202, 251, 262, 317, 358, 365, 9001, 10107, 11600, 11601,
  11602, 13435, 13436, 14031,
]);
const PASSING_NAMES =
  /^(PoolClearedOnNetwork|MongoNetwork|MongoServerSelection|MongoNotConnected|MongoTopologyClosed|MongoPoolCl|MongoWaitQueue|MongoOperationTimeout|MongoExpiredSession|MongoClientClosed|MongoServerClosed|MongoStalePrimary|MongoUnexpectedServerResponse|MongoWriteConcern|MongooseServerSelection)/;

/** What Node says of a socket that is gone, without asking the system; and of one that TLS has broken off. */
const SOCKET_CODES = /^(EPIPE|ECONN|ERR_STREAM_|ERR_SOCKET_|ERR_SSL_|ERR_TLS_)/;

/** True if the database was away or busy, so that the operation's outcome may be unknown. */
export function isStoreAway(error: unknown): boolean {
  if (error instanceof RetryableError) return true;
  const { name, code, syscall } = (error ?? {}) as { name?: unknown; code?: unknown; syscall?: unknown };
  if (typeof code === 'number' && PASSING_CODES.has(code)) return true;
  // A socket's own error (ECONNRESET while writing, EPIPE before it): the driver doesn't always wrap it.
  if (typeof syscall === 'string' || (typeof code === 'string' && SOCKET_CODES.test(code))) return true;
  if (hasLabel(error, 'RetryableWriteError')) return true;
  return typeof name === 'string' && (PASSING_NAMES.test(name) || isBrokenBulk(error));
}

/** A bulk write that broke off: the driver wraps whatever happened, a lost connection too, and keeps only its message. */
function isBrokenBulk(error: unknown): boolean {
  const { name, code, writeErrors, result } = error as {
    name: string;
    code?: unknown;
    writeErrors?: unknown;
    result?: { getWriteConcernError?: () => unknown };
  };
  if (name !== 'MongoBulkWriteError') return false;
  const isUnexplained = typeof code !== 'number' && Array.isArray(writeErrors) && writeErrors.length === 0;
  return isUnexplained || Boolean(result?.getWriteConcernError?.());
}

/**
 * Runs a database operation; an absent database becomes `store-away`, anything else passes unchanged. So does what the
 * driver labels for the transaction around it: by that label the transaction is run again.
 */
export async function storing<T>(operation: () => Promise<T>): Promise<T> {
  try {
    return await operation();
  } catch (error) {
    if (isTransient(error)) throw error;
    throw asStoreAway(error);
  }
}

/** Runs a whole transaction; what it could not get over becomes `store-away` if the database was the reason. */
export async function storingTransaction<T>(transaction: () => Promise<T>): Promise<T> {
  try {
    return await transaction();
  } catch (error) {
    throw isTransient(error)
      ? new RetryableError('store-away', 'MongoDB did not answer', { cause: error })
      : asStoreAway(error);
  }
}

function isTransient(error: unknown): boolean {
  return hasLabel(error, 'TransientTransactionError');
}

function hasLabel(error: unknown, label: string): boolean {
  const { hasErrorLabel } = (error ?? {}) as { hasErrorLabel?: unknown };
  return typeof hasErrorLabel === 'function' && hasErrorLabel.call(error, label) === true;
}

function asStoreAway(error: unknown): unknown {
  return error instanceof RetryableError || !isStoreAway(error)
    ? error
    : new RetryableError('store-away', 'MongoDB did not answer', { cause: error });
}
