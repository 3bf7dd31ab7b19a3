// A database for one test file.
import { createLogger } from '@pipeline/runtime';
import { createTestServers } from '../../../test/support/servers.ts';
import { openStore, type Store } from '../src/index.ts';

export const logger = createLogger({ service: 'test', level: process.env.TEST_LOG_LEVEL ?? 'silent' });

export async function openTestStore(): Promise<{ store: Store; mongoUri: string; close(): Promise<void> }> {
  const servers = await createTestServers();
  const store = await openStore({ uri: servers.mongoUri, logger });
  return {
    store,
    mongoUri: servers.mongoUri,
    async close() {
      await store.close();
      await servers.drop();
    },
  };
}
