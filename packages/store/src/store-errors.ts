// Driver errors, told apart by what they mean for us.
import { RetryableError } from '@pipeline/runtime';

const DUPLICATE_KEY = 11000;

/** True for a unique index violation. */
export function isDuplicateKey(error: unknown): boolean {
  return (error as { code?: unknown } | null)?.code === DUPLICATE_KEY;
}

// Server codes that pass by themselves: not primary, shutting down, write concern not reached, network time-outs.
const PASSING_CODES = new Set([6, 7, 64, 89, 91, 112, 189, 251, 262, 9001, 10107, 11600, 11602, 13435, 13436]);

/** True if the database was away or busy, so that the operation's outcome may be unknown. */
export function isStoreAway(error: unknown): boolean {
  if (error instanceof RetryableError) return true;
  const { name, code } = (error ?? {}) as { name?: unknown; code?: unknown };
  if (typeof code === 'number' && PASSING_CODES.has(code)) return true;
  return (
    typeof name === 'string' &&
    /^(MongoNetwork|MongoServerSelection|MongoNotConnected|MongoTopologyClosed|MongoPoolCl|MongoPoolCleared|MongoWaitQueue|MongoOperationTimeout|MongoExpiredSession|MongoClientClosed|MongooseServerSelection)/.test(
      name,
    )
  );
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
  const { hasErrorLabel } = (error ?? {}) as { hasErrorLabel?: unknown };
  return typeof hasErrorLabel === 'function' && hasErrorLabel.call(error, 'TransientTransactionError') === true;
}

function asStoreAway(error: unknown): unknown {
  return error instanceof RetryableError || !isStoreAway(error)
    ? error
    : new RetryableError('store-away', 'MongoDB did not answer', { cause: error });
}
