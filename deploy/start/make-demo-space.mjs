// demo-space.mjs ─▶ RabbitMQ, MongoDB: the demo's vhost and database. Run by Node 26: make-demo-space.mjs open|renew|remove
// Its environment names them. When it fails, its first line of stderr is the cause, the others what to do.
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { createManagementApi, defaultManagementUrl, vhostPath } from '../../packages/broker/src/management-api.ts';
import { root } from './paths.mjs';

const { default: mongoose } = await import(
  createRequire(join(root, 'packages/store/package.json')).resolve('mongoose')
);
const [what] = process.argv.slice(2);
const amqpUrl = String(process.env.RABBITMQ_URL);
const api = createManagementApi(process.env.RABBITMQ_MANAGEMENT_URL || defaultManagementUrl(amqpUrl));
const vhost = vhostPath(amqpUrl);
const user = decodeURIComponent(new URL(amqpUrl).username) || 'guest';

try {
  await (what === 'remove' ? removeVhost() : openVhost(what === 'renew'));
  await openDatabase(what !== 'open');
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : error}\n`);
  process.exitCode = 1;
}

/** One that an administrator has made is good, too: then it is used as it is. */
async function openVhost(/** @type {boolean} */ isRenewed) {
  try {
    if (isRenewed) await removeVhost();
    await api.put(`/vhosts/${vhost}`, {});
    await api.put(`/permissions/${vhost}/${encodeURIComponent(user)}`, { configure: '.*', write: '.*', read: '.*' });
  } catch (error) {
    const isThere = await api.get(`/exchanges/${vhost}`).then(
      () => true,
      () => false,
    );
    if (isThere) return;
    const name = decodeURIComponent(vhost);
    throw new Error(
      [
        `the demo's own vhost ${name} can't be made: ${/** @type {Error} */ (error).message}`,
        'Any one of these will do:',
        '- set RABBITMQ_MANAGEMENT_URL to the management API with a user of tag "administrator" in it;',
        `- have the vhost made: rabbitmqctl add_vhost '${name}' && rabbitmqctl set_permissions -p '${name}' '${user}' '.*' '.*' '.*';`,
        '- leave RABBITMQ_URL and MONGODB_URI out: then the demo starts servers of its own.',
      ].join('\n'),
    );
  }
}

/** That there is none, or none that may be removed, is no fault. */
async function removeVhost() {
  await api.remove(`/vhosts/${vhost}`).catch(() => {});
}

/** MongoDB makes it with the first write; whether that is allowed is better known now. */
async function openDatabase(/** @type {boolean} */ isEmptied) {
  const client = new mongoose.mongo.MongoClient(String(process.env.MONGODB_URI), { serverSelectionTimeoutMS: 10_000 });
  try {
    const database = client.db();
    if (isEmptied) await database.dropDatabase();
    else
      await database
        .collection('demo')
        .updateOne({ _id: 'demo' }, { $set: { openedAt: new Date() } }, { upsert: true });
  } catch (error) {
    throw new Error(
      `the demo's own database ${client.db().databaseName} can't be used: ${/** @type {Error} */ (error).message}\n` +
        'Let the user of MONGODB_URI have the role dbOwner on it, or leave RABBITMQ_URL and MONGODB_URI out.',
    );
  } finally {
    await client.close();
  }
}
