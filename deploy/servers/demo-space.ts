// npm start, demo mode ─▶ a database and a vhost of its own, so that nothing of the demo meets a real account's.
import { createHash } from 'node:crypto';
import { createManagementApi, type ManagementApi, vhostPath } from '@pipeline/broker';
import mongoose from 'mongoose';
import { root } from '../processes/paths.ts';
import * as progress from '../processes/progress.ts';
import { StartError } from '../processes/start-error.ts';

const MAX_DATABASE_BYTES = 63;
const DEFAULT_NAME = 'wecom-agent-router';
const REACH_MS = 10_000;

export type Servers = { rabbitmqUrl: string; managementUrl: string; mongodbUri: string };

/**
 * The same servers, but beside the named vhost and database: always the same ones for a demo that stays up, so that
 * the next one goes on with them; others for `--once`. Each clone has its own, as servers may be shared.
 */
export function besideReal<S extends Servers>(servers: S, isOnce: boolean): S {
  const clone = createHash('sha256').update(root).digest('hex').slice(0, 8);
  const suffix = `-demo-${isOnce ? 'once-' : ''}${clone}`;
  const rabbitmq = new URL(servers.rabbitmqUrl);
  rabbitmq.pathname = `/${encodeURIComponent((decodeURIComponent(rabbitmq.pathname.slice(1)) || DEFAULT_NAME) + suffix)}`;

  // It may list several hosts, which makes it no URL.
  const [, hosts = '', path = '', query = ''] = /^([^/]*\/\/[^/?]*)\/?([^?]*)(.*)$/.exec(servers.mongodbUri) ?? [];
  const database = (path || DEFAULT_NAME).slice(0, MAX_DATABASE_BYTES - suffix.length) + suffix;
  // The user lives in the database that was named, unless the URI says otherwise.
  const isUserElsewhere = !hosts.includes('@') || path === '' || /[?&]authSource=/i.test(query);
  const options = isUserElsewhere ? query : `${query || '?'}${query.length > 1 ? '&' : ''}authSource=${path}`;
  return { ...servers, rabbitmqUrl: rabbitmq.href, mongodbUri: `${hosts}/${database}${options}` };
}

/** Makes the demo's vhost and database, empty for `--once`. @returns removes them again @throws StartError */
export async function openDemoSpace(servers: Servers, isOnce: boolean): Promise<() => Promise<void>> {
  const api = createManagementApi(servers.managementUrl);
  const vhost = vhostPath(servers.rabbitmqUrl);
  const user = decodeURIComponent(new URL(servers.rabbitmqUrl).username) || 'guest';
  if (isOnce) await removeVhost(api, vhost);
  await openVhost(api, vhost, user);
  await openDatabase(servers.mongodbUri, isOnce);
  return async () => {
    await removeVhost(api, vhost);
    await openDatabase(servers.mongodbUri, true).catch((error) =>
      progress.warn('demo', `not removed: ${error.message}`),
    );
  };
}

/** One that an administrator has made is good, too: then it is used as it is. */
async function openVhost(api: ManagementApi, vhost: string, user: string): Promise<void> {
  try {
    await api.put(`/vhosts/${vhost}`, {});
    await api.put(`/permissions/${vhost}/${encodeURIComponent(user)}`, { configure: '.*', write: '.*', read: '.*' });
  } catch (error) {
    const isThere = await api.get(`/exchanges/${vhost}`).then(
      () => true,
      () => false,
    );
    if (isThere) return;
    const name = decodeURIComponent(vhost);
    throw new StartError(
      'demo',
      `the demo's own vhost ${name} can't be made: ${(error as Error).message}`,
      [
        'Any one of these will do:',
        '- set RABBITMQ_MANAGEMENT_URL to the management API with a user of tag "administrator" in it;',
        `- have the vhost made: rabbitmqctl add_vhost '${name}' && rabbitmqctl set_permissions -p '${name}' '${user}' '.*' '.*' '.*';`,
        '- leave RABBITMQ_URL and MONGODB_URI out: then the demo starts servers of its own.',
      ].join('\n'),
    );
  }
}

/** That there is none, or none that may be removed, is no fault. */
const removeVhost = (api: ManagementApi, vhost: string) => api.remove(`/vhosts/${vhost}`).catch(() => {});

/** MongoDB makes it with the first write; whether that is allowed is better known now. */
async function openDatabase(uri: string, isEmptied: boolean): Promise<void> {
  const client = new mongoose.mongo.MongoClient(uri, { serverSelectionTimeoutMS: REACH_MS });
  const database = client.db();
  try {
    if (isEmptied) await database.dropDatabase();
    else {
      const update = { $set: { openedAt: new Date() } };
      await database.collection<{ _id: string }>('demo').updateOne({ _id: 'demo' }, update, { upsert: true });
    }
  } catch (error) {
    throw new StartError(
      'demo',
      `the demo's own database ${database.databaseName} can't be used: ${(error as Error).message}`,
      'Let the user of MONGODB_URI have the role dbOwner on it, or leave RABBITMQ_URL and MONGODB_URI out.',
    );
  } finally {
    await client.close();
  }
}
