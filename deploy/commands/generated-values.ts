// npm start ─▶ .local/generated.json: keys made once and kept, so that a restart keeps tokens and open tasks valid.
import { randomBytes } from 'node:crypto';
import { chmodSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { local } from '../processes/paths.ts';

const FILE = join(local, 'generated.json');
const NAMES = ['ADMIN_API_TOKEN', 'CALLBACK_SIGNING_KEYS', 'DEMO_KF_SECRET'] as const;

export function readGeneratedValues(): Record<(typeof NAMES)[number], string> {
  const values = read();
  const missing = NAMES.filter((name) => typeof values[name] !== 'string');
  for (const name of missing) values[name] = randomBytes(24).toString('hex');
  if (missing.length > 0) write(values);
  return values as Record<(typeof NAMES)[number], string>;
}

function read(): Record<string, string> {
  try {
    return JSON.parse(readFileSync(FILE, 'utf8'));
  } catch {
    return {}; // the first start
  }
}

/** At once or not at all: half a file would lose the keys. */
function write(values: Record<string, string>) {
  mkdirSync(local, { recursive: true });
  const draft = `${FILE}.${process.pid}`;
  writeFileSync(draft, `${JSON.stringify(values, null, 2)}\n`, { mode: 0o600 });
  chmodSync(draft, 0o600);
  renameSync(draft, FILE);
}
