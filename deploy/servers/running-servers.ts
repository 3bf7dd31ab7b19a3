// npm start ─▶ .local/servers.json: the servers that this clone's system runs on, for whoever wants to look into it.
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { local } from '../processes/paths.ts';
import { isRunning, readRecords } from '../processes/process-records.ts';

const FILE = join(local, 'servers.json');

/** @returns how to take it back */
export function recordServers({
  RABBITMQ_URL,
  MONGODB_URI,
}: {
  RABBITMQ_URL: string;
  MONGODB_URI: string;
}): () => void {
  // The URLs may hold passwords.
  writeFileSync(FILE, `${JSON.stringify({ RABBITMQ_URL, MONGODB_URI })}\n`, { mode: 0o600 });
  return () => rmSync(FILE, { force: true });
}

/** @returns undefined when no system runs here */
export function findRunningServers(): { RABBITMQ_URL: string; MONGODB_URI: string } | undefined {
  const launcher = readRecords(join(local, 'run')).find(({ name }) => name === 'launcher');
  if (!launcher || !isRunning(launcher)) return undefined;
  try {
    return JSON.parse(readFileSync(FILE, 'utf8'));
  } catch {
    return undefined; // it is still starting
  }
}
