// MongoDB's write commands as they are. The driver's bulk API serializes each document twice, once to know its size.
import { type Connection, mongo } from 'mongoose';
import { isDuplicateKey, storing } from './store-errors.ts';

/**
 * Runs an `insert` or `update` command with the connection's write concern, its writes in no particular order.
 * @param command all of it together smaller than 16 MB
 * @returns the indices of the writes that met a duplicate key, and how many documents the others found or made
 * @throws RetryableError `store-away`, or the server's error if a write failed for any other reason
 */
export async function runWriteCommand(
  connection: Connection,
  command: mongo.Document,
): Promise<{ collided: number[]; n: number }> {
  const db = connection.db as mongo.Db;
  const whole: mongo.Document = { ...command, ordered: false };
  // A command has none of the connection's options. In the server's own spelling: it refuses the driver's object if the
  // URI named `journal` or `wtimeoutMS`.
  if (db.writeConcern) mongo.WriteConcern.apply(whole, db.writeConcern);
  return storing(async () => {
    const { writeErrors = [], n } = await db.command(whole, { ignoreUndefined: true });
    const fault = writeErrors.find((error: unknown) => !isDuplicateKey(error));
    if (fault) throw new mongo.MongoServerError(fault);
    return { collided: writeErrors.map(({ index }: { index: number }) => index), n };
  });
}
