// WeCom's quota: what may not be sent now waits, and goes out in order once it may.
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { createLogger } from '@pipeline/runtime';
import { openStore } from '@pipeline/store';
import { createCallQuota } from '@pipeline/wecom';
import { eventually } from '../support/eventually.ts';
import { type Pipeline, startPipeline } from '../support/pipeline.ts';

jest.setTimeout(60_000);
let pipeline: Pipeline;
beforeAll(async () => {
  pipeline = await startPipeline({ partitions: 4 });
});
afterAll(() => pipeline?.stop());

const restingApis = async () => {
  const answer = await (await fetch(`${pipeline.services.sender.url}/readyz`)).json();
  return (answer as { restingApis: Record<string, number> }).restingApis;
};

test('while another replica of the corp was told 45009, answers wait; then they arrive, each once and in order', async () => {
  await pipeline.bind('wm-quota');
  const logger = createLogger({ service: 'test', level: 'silent' });
  const store = await openStore({ uri: pipeline.servers.mongoUri, logger });
  const limits = { perMinute: 10_000, perHour: 150_000 };
  const other = createCallQuota({ store: store.callQuotas.of(pipeline.wecom.corpId), limits, now: store.now, logger });
  await other.close('kf/send_msg', 10_000);
  await store.close();
  const before = pipeline.heard('wm-quota').length;
  const texts = ['一', '二', '三'];
  const tasks = () => pipeline.bridge.control.tasks({ user: 'wm-quota' });
  for (const text of texts) {
    pipeline.say('wm-quota', text);
    await eventually('the agent has it', () => tasks().some(({ prompt }) => prompt === text));
  }
  expect(Object.keys(await restingApis())).toEqual(['kf/send_msg']);
  expect(pipeline.heard('wm-quota')).toHaveLength(before);
  await pipeline.hears('wm-quota', /「三」/, 30_000);
  const answers = pipeline.heard('wm-quota').flatMap((text) => /「(.)」/.exec(text)?.[1] ?? []);
  expect(answers).toEqual(texts);
  expect(await restingApis()).toEqual({});
});

test('told 45033, the sender sends less at once, and everybody gets theirs once', async () => {
  const { control } = pipeline.wecom;
  control.changeSettings({ maxConcurrentCalls: 3 });
  control.addFault({ api: 'send_msg', action: { kind: 'delay', delayMs: 100 } });
  const users = Array.from({ length: 30 }, (_, index) => `wm-${index}`);
  control.sendMessages(users.map((externalUserId) => ({ externalUserId, content: '有人吗' })));
  for (const user of users) await pipeline.hears(user, /./, 30_000);
  expect(control.calls().send_msg?.byCode[45033]).toBeGreaterThan(0);
  expect(users.map((user) => pipeline.heard(user).length)).toEqual(users.map(() => 1));
  const metrics = await (await fetch(`${pipeline.services.sender.url}/metrics`)).text();
  expect(metrics).toMatch(/sender_sends_at_once\{service="sender"\} \d/);
});
