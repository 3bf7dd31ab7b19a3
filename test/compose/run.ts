// npm run test:compose: replicas come and go in `docker compose` while users talk to their agents, and the containers' logs
// hold nothing of what they say; needs a Docker engine.
import { mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createPortPicker } from '../../deploy/processes/free-port.ts';
import { local, root } from '../../deploy/processes/paths.ts';
import * as progress from '../../deploy/processes/progress.ts';
import { errorLine, type Run, runCommand, unstoppable } from '../../deploy/processes/run-command.ts';
import type { Session } from '../../deploy/processes/session.ts';
import { StartError } from '../../deploy/processes/start-error.ts';
import { runTemporarily } from '../../deploy/processes/temporary-run.ts';
import { findDockerProblem } from '../../deploy/servers/docker-engine.ts';
import { findLeaks, logEveryOperation } from './privacy.ts';

const USERS = 16;
const TOKEN = 'scale-test-admin-token';
const UP_MS = 600_000;
const ANSWER_MS = 60_000;
const SPREAD_MS = 10_000;
const FLOW_MS = 15_000;
const PAUSE_MS = 200;
const REQUEST_MS = 30_000;
const PARTITIONS = 24;
const MANAGEMENT_LOGIN = `Basic ${Buffer.from('wecom:wecom').toString('base64')}`;

/** Replicas of each service, one step after another. */
const STEPS = [
  { router: 1, sender: 1, ingest: 1, binder: 1 },
  { router: 3, sender: 2, ingest: 2, binder: 2 },
  { router: 2, sender: 1, ingest: 1, binder: 1 },
  { router: 3, sender: 3, ingest: 2, binder: 1 },
  { router: 1, sender: 1, ingest: 1, binder: 1 },
];

const LOGS = join(local, 'compose-scale.log');
const project = `wecom-scale-${process.pid}`;

await runTemporarily('compose-scale', async (session, directory) => {
  const problem = await findDockerProblem(session);
  if (problem) throw new StartError('docker', problem);
  const { compose, ports } = await prepare(session, directory);
  session.onStop(() => compose(['--profile', 'demo', 'down', '--volumes', '--timeout', '15'], unstoppable()));
  /** Straight into a file: there may be much of it. */
  const writeLogs = async (file: string, services: string[]) => {
    const stdio = ['ignore', openSync(file, 'w'), 'ignore'] as const;
    await compose(['logs', '--no-color', '--timestamps', ...services], session, { stdio });
  };
  const readLogs = async (services: string[]) => {
    const file = join(directory, 'all.log');
    await writeLogs(file, services);
    return readFileSync(file, 'utf8');
  };
  const stack = createStack(ports, compose);
  progress.step('compose', 'building the image and starting everything');
  await stack.scale(STEPS[0], ['--build']);
  await logEveryOperation(compose);
  const users = await stack.bindUsers();
  const talk = startTalk(stack, users);
  const faults = [];
  for (const step of STEPS) {
    const countsOf = () =>
      Promise.all(
        (['router', 'sender'] as const).map(async (service) => {
          const counts = await stack.activeCounts(service);
          return { counts, here: counts.length, wanted: step[service] };
        }),
      );
    const wanted = Object.entries(step).map(([name, count]) => `${name}=${count}`);
    await stack.scale(step);
    await until(
      'all replicas are there',
      async () => (await countsOf()).every(({ here, wanted }) => here === wanted),
      UP_MS,
    );
    const tookMs = await until('partitions are spread evenly', async () => (await countsOf()).every(isEven), ANSWER_MS);
    if (tookMs > SPREAD_MS) faults.push(`${wanted.join(' ')}: partitions were uneven for ${Math.round(tookMs)} ms`);
    const before = await stack.callbacksByRouter();
    await sleep(FLOW_MS);
    const after = await stack.callbacksByRouter();
    const taken = [...after].map(([id, count]) => count - (before.get(id) ?? 0));
    if (taken.some((count) => count === 0))
      faults.push(`${wanted.join(' ')}: callbacks per router ${taken.join(', ')}`);
    progress.step(
      'scale',
      `${wanted.join(' ')}: even after ${(tookMs / 1000).toFixed(1)} s, callbacks per router ${taken.join(', ')}, ${talk.answered()} answers`,
    );
  }
  faults.push(...(await talk.end()));
  faults.push(...(await findLeaks({ stack, compose, readLogs, user: String(users[0]), post, read, until })));
  for (const fault of faults) progress.warn('scale', fault);
  if (faults.length > 0) {
    await writeLogs(LOGS, ['ingest', 'binder', 'router', 'sender']);
    progress.step('scale', `the services' logs: ${LOGS}`);
  }
  progress.step('scale', `${talk.answered()} answers, ${faults.length} faults`);
  return faults.length === 0 ? 0 : 1;
});

function isEven({ counts }: { counts: number[] }) {
  const total = counts.reduce((sum, count) => sum + count, 0);
  return total === PARTITIONS && Math.max(...counts) <= 1.5 * Math.min(...counts);
}

async function prepare(session: Session, directory: string) {
  mkdirSync(directory, { recursive: true });
  const picker = createPortPicker();
  const names = ['WECOM_SIMULATOR', 'RABBITMQ_MANAGEMENT', 'INGEST', 'BINDER', 'ROUTER', 'SENDER', 'BRIDGE_SIMULATOR'];
  const ports: Record<string, string> = {};
  for (const name of names) ports[`${name}_PORT`] = String((await picker.pick(name)).port);
  const override = join(directory, 'ports.yml');
  writeFileSync(
    override,
    `services:\n  bridge-simulator:\n    ports: ['127.0.0.1:${ports.BRIDGE_SIMULATOR_PORT}:3112']\n`,
  );
  const { PATH, HOME, DOCKER_HOST } = process.env;
  const env = {
    PATH,
    HOME,
    ...(DOCKER_HOST && { DOCKER_HOST }),
    ...ports,
    ADMIN_API_TOKEN: TOKEN,
    RATE_LIMIT_PER_MINUTE: '1000',
  };
  // Without the env file of a real installation: this is the demo.
  const files = ['--env-file', '/dev/null', '--file', join(root, 'docker-compose.yml'), '--file', override];
  const compose = async (args: string[], run: Run = session, options = {}) => {
    const result = await runCommand(run, 'docker', ['compose', '--project-name', project, ...files, ...args], {
      env,
      timeoutMs: UP_MS,
      ...options,
    });
    if (result.code !== 0) throw new StartError('compose', `docker compose ${args[0]}: ${errorLine(result.stderr)}`);
    return result.stdout;
  };
  return { compose, ports };
}

function createStack(ports: Record<string, string>, compose: (args: string[]) => Promise<string>) {
  const wecom = `http://127.0.0.1:${ports.WECOM_SIMULATOR_PORT}/control`;
  const bridge = `http://127.0.0.1:${ports.BRIDGE_SIMULATOR_PORT}/control`;
  const binder = `http://127.0.0.1:${ports.BINDER_PORT}/api/v1/agent`;
  const management = `http://127.0.0.1:${ports.RABBITMQ_MANAGEMENT_PORT}`;
  const idsOf = async (service: string) => (await compose(['ps', '--quiet', service])).split('\n').filter(Boolean);
  /** What a replica itself answers: the gateway would ask any of them. */
  const ask = async (id: string, port: number, path: string) => {
    const request = `exec 3<>/dev/tcp/127.0.0.1/${port}; printf 'GET ${path} HTTP/1.0\\r\\n\\r\\n' >&3; cat <&3`;
    const { stdout } = await runCommand(unstoppable(), 'docker', ['exec', id, 'bash', '-c', request]);
    return stdout.slice(stdout.indexOf('\r\n\r\n') + 4);
  };
  return {
    wecom,
    bridge,
    router: `http://127.0.0.1:${ports.ROUTER_PORT}`,
    async scale(step: Record<string, number> = {}, extra: string[] = []) {
      const scales = Object.entries(step).flatMap(([name, count]) => ['--scale', `${name}=${count}`]);
      await compose(['--profile', 'demo', 'up', '--detach', '--no-recreate', ...extra, ...scales]);
    },
    /** How many partitions each replica of a service reads, by the broker's word (up to 5 s old). */
    async activeCounts(service: string) {
      const response = await request(`${management}/api/consumers`, { headers: { authorization: MANAGEMENT_LOGIN } });
      const counts: Map<string, number> = new Map();
      for (const { consumer_tag, active } of await response.json()) {
        const [replica, queue] = consumer_tag.split(' ');
        if (queue?.startsWith(`${service}.mailbox`)) counts.set(replica, (counts.get(replica) ?? 0) + (active ? 1 : 0));
      }
      return [...counts.values()];
    },
    async callbacksByRouter() {
      const counts = (await idsOf('router')).map(async (id) => {
        const lines = (await ask(id, 3103, '/metrics')).split('\n');
        const accepted = lines.find((line) => /^router_callbacks_total\{.*status="accepted"/.test(line));
        return [id, Number(accepted?.split(' ').at(-1) ?? 0)] as const;
      });
      return new Map(await Promise.all(counts));
    },
    async bindUsers() {
      await until('the gateway answers', async () => (await request(`${binder}/instances`)).status === 401, UP_MS);
      const users = Array.from({ length: USERS }, (_, index) => `wm-scale-${index}`);
      for (const user of users) {
        const body = { id: user, name: user, status: 'running', serverHost: 'bridge-simulator', hostPort: 3112 };
        await until('an instance is made', async () => (await post(`${binder}/instances`, body)).ok, UP_MS);
        const { code } = await (await post(`${binder}/channels/wecom/bind/${user}`)).json();
        await post(`${wecom}/messages`, { externalUserId: user, content: code });
        await until(`${user} is bound`, async () => /绑定成功/.test((await heardBy(wecom, user)).join()), ANSWER_MS);
      }
      return users;
    },
  };
}

/** Every user asks two questions in a row, waits for both answers, and again. */
function startTalk({ wecom, bridge }: { wecom: string; bridge: string }, users: string[]) {
  let isEnough = false;
  let answered = 0;
  const faults: string[] = [];
  const talks = users.map(async (user) => {
    for (let turn = 1; !isEnough; turn++) {
      const prompts = [`${user} ${turn}a`, `${user} ${turn}b`];
      for (const content of prompts) await post(`${wecom}/messages`, { externalUserId: user, content });
      const isHeard = async () => {
        const heard = (await heardBy(wecom, user)).join();
        return prompts.every((prompt) => heard.includes(`「${prompt}」`));
      };
      await until(`${user} hears ${turn}`, isHeard, ANSWER_MS).catch((error) => faults.push(String(error)));
      answered += 2;
    }
    const answers = (await heardBy(wecom, user)).flatMap((text) => text.match(/「wm-scale-\d+ \d+[ab]」/g) ?? []);
    const wrong = answers.findIndex((got, index) => got !== `「${user} ${1 + (index >> 1)}${index % 2 ? 'b' : 'a'}」`);
    if (wrong >= 0)
      faults.push(`${user} heard out of order: ${answers.slice(Math.max(0, wrong - 2), wrong + 4).join(' ')}`);
  });
  return {
    answered: () => answered,
    async end() {
      isEnough = true;
      await Promise.all(talks);
      const { overlaps } = await (await request(`${bridge}/overlaps`)).json();
      const { violations } = await (await request(`${bridge}/violations`)).json();
      const { tasks } = await (await request(`${bridge}/tasks`)).json();
      const repeated = tasks.filter((task: { runs: number }) => task.runs !== 1);
      for (const one of [...overlaps, ...violations, ...repeated]) faults.push(JSON.stringify(one));
      return faults;
    },
  };
}

async function read(url: string) {
  return (await request(url)).json();
}

async function heardBy(wecom: string, user: string): Promise<string[]> {
  const { sent } = await (await request(`${wecom}/sent?user=${user}`)).json();
  return sent.map(({ content }: { content: string }) => content);
}

function post(url: string, body: unknown = {}) {
  const headers = { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' };
  return request(url, { method: 'POST', headers, body: JSON.stringify(body) });
}

/**
 * A fetch that ends, with its body, and keeps the process alive until then: without the timer Node 20 once left with code
 * 13 in the middle of a run.
 */
async function request(url: string, init: RequestInit = {}) {
  const ending = new AbortController();
  const timer = setTimeout(() => ending.abort(new Error(`${url}: no answer`)), REQUEST_MS);
  try {
    const response = await fetch(url, { ...init, signal: ending.signal });
    const text = await response.text();
    return { status: response.status, ok: response.ok, json: () => JSON.parse(text) };
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Waits for a condition; one that throws doesn't hold yet.
 * @returns after how many ms it held
 */
async function until(what: string, condition: () => Promise<boolean>, ms: number) {
  const startedAt = performance.now();
  for (;;) {
    let reason = '';
    const holds = await condition().catch((error) => {
      reason = ` (${error})`;
      return false;
    });
    const tookMs = performance.now() - startedAt;
    if (holds) return tookMs;
    if (tookMs > ms) throw new StartError('scale', `${what}: not within ${ms} ms${reason}`);
    await sleep(PAUSE_MS);
  }
}
