// Bench: what the servers were asked to do, counted by themselves and by the mailboxes.
import { createManagementApi } from '@pipeline/broker';
import type { Database } from './database.ts';
import type { Stage } from './stage.ts';

/** RabbitMQ gathers its figures every 5 s. */
const GATHERED_MS = 6_000;

export type Counts = Map<string, number>;

/** Later minus earlier, without what didn't change. */
export function difference(earlier: Counts, later: Counts): Counts {
  const changes = [...later].map(([name, count]) => [name, count - (earlier.get(name) ?? 0)] as const);
  return new Map(changes.filter(([, count]) => count > 0));
}

/** Documents read and written, by collection: `conversations update`; `insert` is how many there are. Of our database only. */
export async function documentCounts(database: Database): Promise<Counts> {
  const { totals } = await database.admin().command({ top: 1 });
  const prefix = `${database.databaseName}.`;
  const counts: Counts = new Map();
  for (const [namespace, figures] of Object.entries(totals as Record<string, Record<string, { count: number }>>)) {
    if (!namespace.startsWith(prefix)) continue;
    const collection = namespace.slice(prefix.length);
    for (const kind of ['queries', 'update', 'remove', 'commands'])
      counts.set(`${collection} ${kind}`, figures[kind]?.count ?? 0);
    // An insert of many counts once there.
    if (figures.insert?.count)
      counts.set(`${collection} insert`, await database.collection(collection).estimatedDocumentCount());
  }
  return counts;
}

/** Round trips by command, of the whole server. */
export async function commandCounts(database: Database): Promise<Counts> {
  const { metrics } = await database.admin().command({ serverStatus: 1 });
  const commands = metrics.commands as Record<string, { total?: unknown }>;
  const wanted = ['find', 'insert', 'update', 'delete', 'findAndModify', 'aggregate', 'bulkWrite', 'commitTransaction'];
  return new Map(wanted.map((name) => [name, Number(commands[name]?.total ?? 0)]));
}

/** Messages published, by exchange. Waits until the broker has gathered its figures. */
export async function publishCounts({ servers }: Stage): Promise<Counts> {
  await new Promise((resolve) => setTimeout(resolve, GATHERED_MS));
  type Exchange = { name: string; message_stats?: { publish_in?: number } };
  const exchanges = await createManagementApi(servers.managementUrl).get<Exchange[]>(`/exchanges/${servers.vhost}`);
  return new Map(exchanges.map(({ name, message_stats: stats }) => [name || '(default)', stats?.publish_in ?? 0]));
}

/** Mailbox events handled, by service and type: `router answer.stored`. */
export async function eventCounts({ running }: Stage): Promise<Counts> {
  const counts: Counts = new Map();
  for (const name of ['router', 'sender'] as const)
    for (const { url } of running.get(name) ?? []) {
      const exposition = await (await fetch(`${url}/metrics`)).text();
      for (const [, labels = '', value] of exposition.matchAll(/^mailbox_events_total\{(.*)\} (\S+)$/gm)) {
        const type = /type="([^"]*)"/.exec(labels)?.[1];
        const key = `${name} ${type}`;
        counts.set(key, (counts.get(key) ?? 0) + Number(value));
      }
    }
  return counts;
}
