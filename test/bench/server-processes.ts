// Bench: which processes the broker and the database are, if they run on this machine, and what versions.
import { createManagementApi } from '@pipeline/broker';
import { eventually } from '../support/eventually.ts';
import type { TestServers } from '../support/servers.ts';
import type { Database } from './database.ts';
import { findServer } from './process-cost.ts';

export interface ServerProcesses {
  /** Null: not on this machine, or in a virtual one. */
  rabbitmq: number | null;
  mongodb: number | null;
  versions: { rabbitmq: string; mongodb: string };
}

export async function findServers(servers: TestServers, database: Database): Promise<ServerProcesses> {
  const management = createManagementApi(servers.managementUrl);
  // Just started, the management plugin knows of its node no more than the name.
  const pid = await eventually('the broker tells its process', async () => {
    const [node] = await management.get<{ os_pid?: string }[]>('/nodes');
    return node?.os_pid;
  });
  const { rabbitmq_version: version } = await management.get<{ rabbitmq_version: string }>('/overview');
  const status = await database.admin().command({ serverStatus: 1 });
  return {
    rabbitmq: findServer(Number(pid), 'beam.smp'),
    mongodb: findServer(Number(status.pid), 'mongod'),
    versions: { rabbitmq: version, mongodb: String(status.version) },
  };
}
