// Each service is killed mid-flight with SIGKILL and started again: nothing is lost, repeated or reordered.
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type AskedMessage, check, NO_FINDINGS, settle } from '../support/checker.ts';
import { eventually } from '../support/eventually.ts';
import { type Pipeline, startPipeline } from '../support/pipeline.ts';
import type { ServiceName } from '../support/service-process.ts';

const USERS = Array.from({ length: 16 }, (_, index) => `wm-user-${index}`);

let pipeline: Pipeline;
const asked: AskedMessage[] = [];
let questions = 0;

beforeAll(async () => {
  pipeline = await startPipeline({ env: { RATE_LIMIT_PER_MINUTE: '100' } });
  pipeline.bridge.control.changeSettings({ behaviour: { delayMs: 60, jitterMs: 120 } });
  await Promise.all(USERS.map((user) => pipeline.bind(user)));
}, 90_000);
afterAll(() => pipeline.stop(), 30_000);

const ask = (user: string) => {
  const prompt = `问题${++questions}`;
  asked.push({ user, prompt, msgid: pipeline.say(user, prompt) });
};

test.each<ServiceName>(['ingest', 'router', 'sender'])(
  'kill -9 of the %s in the middle of many conversations loses, repeats and reorders nothing',
  async (name) => {
    const service = pipeline.services[name];
    const before = pipeline.wecom.control.sent().length;
    for (const user of USERS) {
      ask(user);
      ask(user);
    }
    // Mid-flight: some texts of this round are out, most aren't.
    await eventually('the round is under way', () => pipeline.wecom.control.sent().length >= before + 5);
    await service.stop('SIGKILL');
    for (const user of USERS) ask(user);
    await service.start();
    await settle(pipeline, asked, ask);
    expect(check(pipeline, asked)).toEqual(NO_FINDINGS);
  },
  90_000,
);

test('kill -9 of the binder while codes are under way binds every user once', async () => {
  const { binder } = pipeline.services;
  const newcomers = USERS.map((user) => `${user}-new`);
  const codes = await Promise.all(newcomers.map((user) => pipeline.addInstance(`instance-${user}`)));
  newcomers.forEach((user, index) => {
    pipeline.say(user, codes[index] ?? '');
    ask(user);
  });
  await eventually('the first is bound', () => newcomers.some((user) => pipeline.heard(user).length > 0));
  await binder.stop('SIGKILL');
  await binder.start();
  await settle(pipeline, asked, ask);
  expect(check(pipeline, asked)).toEqual(NO_FINDINGS);
  for (const user of newcomers)
    expect(pipeline.heard(user).filter((text) => text.includes('绑定成功'))).toHaveLength(1);
}, 90_000);
