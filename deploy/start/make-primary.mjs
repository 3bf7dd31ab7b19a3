// local-mongodb.mjs ─▶ mongod: makes it the primary of a replica set of one. Run by Node 26: make-primary.mjs PORT MEMBER
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { root } from './paths.mjs';

const NOT_YET_INITIALIZED = 94;
const INVALID_REPLICA_SET_CONFIG = 93;
const POLL_MS = 50;

const { default: mongoose } = await import(
  createRequire(join(root, 'packages/store/package.json')).resolve('mongoose')
);
const [port, host] = process.argv.slice(2);
const client = new mongoose.mongo.MongoClient(`mongodb://127.0.0.1:${port}/?directConnection=true`, {
  serverSelectionTimeoutMS: 20_000,
});

try {
  const admin = client.db('admin');
  const code = await admin.command({ replSetGetStatus: 1 }).then(
    () => 0,
    (/** @type {any} */ error) => error.code,
  );
  if (code === NOT_YET_INITIALIZED) {
    await admin.command({ replSetInitiate: { _id: 'rs0', members: [{ _id: 0, host }] } });
  } else {
    const { config } = await admin.command({ replSetGetConfig: 1 });
    // The port may be another one than at the last start; such a node doesn't find itself in the set.
    if (code === INVALID_REPLICA_SET_CONFIG || config.members[0].host !== host) {
      await reconfigure(admin, { ...config, version: config.version + 1, members: [{ _id: 0, host }] });
    }
  }
  while (!(await admin.command({ hello: 1 })).isWritablePrimary) await sleep(POLL_MS);
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : error}\n`);
  process.exitCode = 1;
} finally {
  await client.close();
}

/** @param {any} admin the driver's Db @param {object} config */
async function reconfigure(admin, config) {
  for (let attempt = 1; ; attempt++) {
    try {
      await admin.command({ replSetReconfig: config, force: true });
      return;
    } catch (error) {
      if (attempt === 100) throw error;
      await sleep(POLL_MS); // it is still reading its old configuration
    }
  }
}
