// The soak in short: everything at once for half a minute, with a fixed seed, on servers that aren't killed.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from '@jest/globals';
import { createTestServers } from '../support/servers.ts';
import { createOwner } from './soak/owned.ts';
import { runSoak } from './soak/run.ts';

const SEED = Number(process.env.SOAK_SEED ?? 42);
const directory = mkdtempSync(join(tmpdir(), 'short-soak-'));
const logs = join(directory, 'logs');
const owner = createOwner(directory, logs);
afterAll(async () => {
  // A run that took too long has left them.
  await owner.endServices();
  rmSync(directory, { recursive: true, force: true });
}, 60_000);

test('kills, cuts, frozen replicas, failing calls and full queues at random lose, repeat and reorder nothing', async () => {
  const servers = await createTestServers();
  const { table, faults } = await runSoak({
    seed: SEED,
    durationMs: 30_000,
    users: 16,
    perMinute: 120,
    partitions: 4,
    owner,
    servers,
    ownServers: null,
    logs,
    say: () => {},
  });
  await servers.drop();
  // The table says what happened, and the seed with which it happens again.
  expect(faults.length === 0 ? '' : table).toBe('');
}, 240_000);
