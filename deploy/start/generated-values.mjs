// npm start ─▶ .local/generated.json: keys made once and kept, so that a restart keeps tokens and open tasks valid.
import { randomBytes } from 'node:crypto';
import { chmodSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { local } from './paths.mjs';

const FILE = join(local, 'generated.json');
const NAMES = /** @type {const} */ (['ADMIN_API_TOKEN', 'CALLBACK_SIGNING_KEYS', 'DEMO_KF_SECRET']);

/** @returns {Record<(typeof NAMES)[number], string>} */
export function readGeneratedValues() {
  const values = read();
  const missing = NAMES.filter((name) => typeof values[name] !== 'string');
  for (const name of missing) values[name] = randomBytes(24).toString('hex');
  if (missing.length > 0) write(values);
  return /** @type {Record<(typeof NAMES)[number], string>} */ (values);
}

/** @returns {Record<string, string>} */
function read() {
  try {
    return JSON.parse(readFileSync(FILE, 'utf8'));
  } catch {
    return {}; // the first start
  }
}

/** At once or not at all: half a file would lose the keys. */
function write(/** @type {Record<string, string>} */ values) {
  mkdirSync(local, { recursive: true });
  const draft = `${FILE}.${process.pid}`;
  writeFileSync(draft, `${JSON.stringify(values, null, 2)}\n`, { mode: 0o600 });
  chmodSync(draft, 0o600);
  renameSync(draft, FILE);
}
