// docker compose ─▶ settings: without WeCom credentials, those of the demo (`node --import` of every process);
// run by itself, it is the one-shot `settings`, which says what is missing.
import { lookup } from 'node:dns/promises';
import { fileURLToPath } from 'node:url';

const EX_CONFIG = 78;
const CREDENTIALS = ['IT0_WECOM_CORP_ID', 'IT0_WECOM_KF_SECRET', 'IT0_WECOM_KF_OPEN_KFID'];
const REQUIRED = ['ADMIN_API_TOKEN', 'CALLBACK_SIGNING_KEYS', 'AGENT_SERVICE_PUBLIC_URL'];

// Known to everybody: the demo is published on loopback only, and a real account never gets any of these.
const DEMO = {
  IT0_WECOM_CORP_ID: 'ww-demo',
  IT0_WECOM_KF_SECRET: 'demo-secret',
  IT0_WECOM_KF_OPEN_KFID: 'wk-demo',
  IT0_WECOM_KF_URL: 'http://127.0.0.1:3111/',
  IT0_WECOM_API_URL: 'http://wecom-simulator:3111',
  AGENT_SERVICE_PUBLIC_URL: 'http://gateway:3103',
  ADMIN_API_TOKEN: 'demo-admin-token',
  CALLBACK_SIGNING_KEYS: 'demo-signing-key-that-everybody-knows',
  POLL_INTERVAL_ACTIVE_MS: '200',
  POLL_INTERVAL_IDLE_MS: '200',
  POLL_INTERVAL_ERROR_MS: '200', // ingest may be there before the simulator
};

const { env } = process;
const missing = (names: string[]) => names.filter((name) => !env[name]);
const isDemo = missing(CREDENTIALS).length === CREDENTIALS.length;

// Before any setting is filled in.
const problem = process.argv[1] === fileURLToPath(import.meta.url) ? await findProblem() : undefined;
if (problem) {
  process.stderr.write(`${problem}\n`);
  process.exitCode = EX_CONFIG;
}
if (isDemo) for (const [name, value] of Object.entries(DEMO)) env[name] ||= value;

/** @returns one line */
async function findProblem(): Promise<string | undefined> {
  if (isDemo) {
    const hasSimulator = await lookup('wecom-simulator').then(
      () => true,
      () => false,
    );
    if (hasSimulator) return undefined;
    return `${CREDENTIALS.join(', ')} are not set: put them into .env (see deploy/env.example), or try the demo: docker compose -p wecom-demo --profile demo up`;
  }
  const names = missing([...CREDENTIALS, ...REQUIRED]);
  if (names.length > 0)
    return `${names.join(', ')}: not set; put ${names.length > 1 ? 'them' : 'it'} into .env (see deploy/env.example)`;
  return undefined;
}
