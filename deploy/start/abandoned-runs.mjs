// npm test, npm run check ─▶ .local/test/<pid>, .local/check/<pid>: what killed runs left there is ended and removed.
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { createRecords, endLeftovers, identityOf, isRunning, readRecords } from './process-records.mjs';
import * as progress from './progress.mjs';
import { removeContainers } from './testcontainers.mjs';

/** @param {string} parent folder of all runs */
export async function endAbandonedRuns(parent) {
  for (const name of readdirSync(parent)) {
    const directory = join(parent, name);
    if (name === String(process.pid)) continue;
    const launcher = readRecords(join(directory, 'run')).find((record) => record.name === 'launcher');
    if (launcher ? isRunning(launcher) : identityOf(Number(name))) continue; // no launcher yet: it begins right now
    await endLeftovers(createRecords(join(directory, 'run')), (names) => {
      progress.step('start', `ending what a killed run left: ${names.join(', ')}`);
    });
    await removeContainers(directory);
    rmSync(directory, { recursive: true, force: true });
  }
}
