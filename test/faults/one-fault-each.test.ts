// Faults that a random run may miss, one by one under load: the clock steps, a mailbox is full, SIGTERM.
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createManagementApi, vhostPath } from '@pipeline/broker';
import { describeTopology } from '@pipeline/contracts';
import { type AskedMessage, check, NO_FINDINGS, settle } from '../support/checker.ts';
import { metric } from '../support/dialogue.ts';
import { eventually } from '../support/eventually.ts';
import { type Pipeline, startPipeline } from '../support/pipeline.ts';
import type { ServiceName } from '../support/service-process.ts';

const USERS = Array.from({ length: 8 }, (_, index) => `wm-user-${index}`);
const SERVICES: ServiceName[] = ['ingest', 'binder', 'router', 'sender'];
const PARTITIONS = 2;
const STOP_MS = 10_000;
const CLOCK_STEP = fileURLToPath(new URL('./soak/clock-step.mjs', import.meta.url));

let pipeline: Pipeline;
const asked: AskedMessage[] = [];

beforeAll(async () => {
  const env = { RATE_LIMIT_PER_MINUTE: '100', NODE_OPTIONS: `--import=${CLOCK_STEP}` };
  pipeline = await startPipeline({ env, partitions: PARTITIONS });
  pipeline.bridge.control.changeSettings({ behaviour: { delayMs: 60, jitterMs: 120 } });
  await Promise.all(USERS.map((user) => pipeline.bind(user)));
});
afterAll(() => pipeline?.stop());

const ask = (user: string) => {
  const prompt = `问题${asked.length + 1}`;
  asked.push({ user, prompt, msgid: pipeline.say(user, prompt) });
};
const askAll = () => USERS.forEach(ask);
const findings = async () => {
  await settle(pipeline, asked, ask);
  return check(pipeline, asked);
};

/** Whether the service has logged a time that is so far from ours. */
const hasLoggedTime = (name: ServiceName, offMs: number) =>
  pipeline.services[name].logs().some((line) => {
    const time = /"time":"([^"]+)"/.exec(line)?.[1];
    return time !== undefined && Math.abs(Date.parse(time) - Date.now() - offMs) < 60_000;
  });

test.each(SERVICES)('a clock of the %s that steps by 5 min forth and then back harms nobody', async (name) => {
  for (const offMs of [300_000, -300_000, 0]) {
    pipeline.services[name].signal('SIGUSR2');
    askAll();
    await pipeline.bind(`wm-newcomer-${name}-${offMs}`);
    await eventually('the clock has stepped', () => hasLoggedTime(name, offMs));
  }
  expect(await findings()).toEqual(NO_FINDINGS);
});

async function limitMailboxes(service: 'router' | 'sender', length: number | null) {
  const { managementUrl, amqpUrl } = pipeline.servers;
  const policy = describeTopology(PARTITIONS).policies.find(({ name }) => name.startsWith(service));
  const { name, pattern, definition } = policy ?? { name: '', pattern: '', definition: {} };
  const limited = length === null ? definition : { ...definition, 'max-length': length };
  const body = { pattern, definition: limited, 'apply-to': 'queues', priority: 10 };
  await createManagementApi(managementUrl).put(`/policies/${vhostPath(amqpUrl)}/${name}`, body);
}

test('a full mailbox of the router holds ingest up; then everything comes, once and in order', async () => {
  const { router, ingest } = pipeline.services;
  await router.stop();
  await limitMailboxes('router', 1);
  askAll();
  askAll();
  const isRefused = () => ingest.logs().some((line) => line.includes('publish-refused'));
  await eventually('the broker refuses', isRefused);
  await limitMailboxes('router', null);
  await router.start();
  expect(await findings()).toEqual(NO_FINDINGS);
});

test('a full mailbox of the sender keeps texts in the conversations; then they come, once and in order', async () => {
  const { router, sender } = pipeline.services;
  // Long enough for the answers to meet the full mailbox.
  pipeline.bridge.control.changeSettings({ behaviour: { delayMs: 3_000 } });
  askAll();
  await eventually('the bridge is asked', () => pipeline.bridge.control.task(asked.at(-1)?.msgid ?? ''));
  await sender.stop();
  await limitMailboxes('sender', 1);
  // Items go to the sender before they go to the router: these wait in WeCom, the answers to those above are refused.
  askAll();
  const refusals = () => metric(router.url, 'mailbox_refused_publishes_total');
  await eventually('the broker refuses', async () => (await refusals()) > 0);
  pipeline.bridge.control.changeSettings({ behaviour: { delayMs: 60 } });
  await limitMailboxes('sender', null);
  await sender.start();
  expect(await findings()).toEqual(NO_FINDINGS);
});

test.each(SERVICES)('SIGTERM under load: %s ends within 10 s, and nothing is lost or half-done', async (name) => {
  const service = pipeline.services[name];
  const newcomers = [1, 2].map((number) => `wm-new-${name}-${number}`);
  const codes = await Promise.all(newcomers.map((user) => pipeline.addInstance(`instance-${user}`)));
  const before = pipeline.wecom.control.sent().length;
  askAll();
  newcomers.forEach((user, index) => {
    pipeline.say(user, codes[index] ?? '');
    ask(user);
  });
  askAll();
  await eventually('it is under way', () => pipeline.wecom.control.sent().length >= before + 3);
  const startedAt = performance.now();
  expect(await service.stop('SIGTERM')).toBe(0);
  expect(performance.now() - startedAt).toBeLessThan(STOP_MS);
  askAll();
  await service.start();
  await service.ready();
  expect(await findings()).toEqual(NO_FINDINGS);
  for (const user of newcomers)
    expect(pipeline.heard(user).filter((text) => text.includes('绑定成功'))).toHaveLength(1);
});
