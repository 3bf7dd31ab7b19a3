// npm test, npm run check …: a run with a folder of its own below .local, gone afterwards; what killed runs left is ended.
import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { removeContainers } from '../servers/testcontainers.ts';
import { local } from './paths.ts';
import { createRecords, endLeftovers, identityOf, isRunning, readRecords } from './process-records.ts';
import * as progress from './progress.ts';
import { runSession, type Session } from './session.ts';

/** Runs `main` and ends the process with its exit code. @param kind names the folder of all runs like it */
export async function runTemporarily(
  kind: string,
  main: (session: Session, directory: string) => Promise<number>,
): Promise<void> {
  const parent = join(local, kind);
  const directory = join(parent, String(process.pid));
  mkdirSync(directory, { recursive: true });
  await runSession({ recordsDirectory: join(directory, 'run'), codeOnSignal: 130 }, async (session) => {
    await endAbandonedRuns(parent);
    session.onStop(() => rmSync(directory, { recursive: true, force: true }));
    return main(session, directory);
  });
}

async function endAbandonedRuns(parent: string): Promise<void> {
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
