// A mongod of our own ─▶ the primary of a replica set of one: transactions need one.
import { setTimeout as sleep } from 'node:timers/promises';
import mongoose from 'mongoose';
import { StartError } from '../processes/start-error.ts';

const NOT_YET_INITIALIZED = 94;
const INVALID_REPLICA_SET_CONFIG = 93;
const POLL_MS = 50;
const REACH_MS = 20_000;
const WITHIN_MS = 45_000;

type Admin = ReturnType<mongoose.mongo.MongoClient['db']>;

/** @param member its name in the set @throws StartError */
export async function makePrimary(port: number, member = `127.0.0.1:${port}`): Promise<void> {
  const client = new mongoose.mongo.MongoClient(`mongodb://127.0.0.1:${port}/?directConnection=true`, {
    serverSelectionTimeoutMS: REACH_MS,
  });
  const giveUpAt = performance.now() + WITHIN_MS;
  try {
    const admin = client.db('admin');
    await configure(admin, member, giveUpAt);
    while (!(await admin.command({ hello: 1 })).isWritablePrimary) {
      if (performance.now() > giveUpAt) throw new Error(`no primary within ${WITHIN_MS / 1000} s`);
      await sleep(POLL_MS);
    }
  } catch (error) {
    const cause = `the replica set could not be set up: ${(error as Error).message}`;
    throw new StartError('mongodb', cause, 'Its log is .local/logs/mongodb.log.');
  } finally {
    await client.close();
  }
}

async function configure(admin: Admin, host: string, giveUpAt: number): Promise<void> {
  const members = [{ _id: 0, host }];
  const code = await admin.command({ replSetGetStatus: 1 }).then(
    () => 0,
    (error: { code?: number }) => error.code,
  );
  if (code === NOT_YET_INITIALIZED) {
    await admin.command({ replSetInitiate: { _id: 'rs0', members } });
    return;
  }
  const { config } = await admin.command({ replSetGetConfig: 1 });
  // The port may be another one than at the last start; such a node doesn't find itself in the set.
  if (code !== INVALID_REPLICA_SET_CONFIG && config.members[0].host === host) return;
  const replSetReconfig = { ...config, version: config.version + 1, members };
  for (;;) {
    try {
      await admin.command({ replSetReconfig, force: true });
      return;
    } catch (error) {
      if (performance.now() > giveUpAt) throw error;
      await sleep(POLL_MS); // it is still reading its old configuration
    }
  }
}
