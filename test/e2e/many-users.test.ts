// Two hundred users at once, each with an instance of their own: in order, one at a time, each once, none held up.
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { render } from '@pipeline/texts';
import { type AskedMessage, check, isAllAnswered, NO_FINDINGS } from '../support/checker.ts';
import { eventually } from '../support/eventually.ts';
import { type Pipeline, startPipeline } from '../support/pipeline.ts';

jest.setTimeout(180_000);
const USERS = 200;
const BURSTS = [3, 1, 2];
const SIDE_BY_SIDE = 20;
const names = Array.from({ length: USERS }, (_, index) => `wm-${String(index).padStart(3, '0')}`);
const asked: AskedMessage[] = [];
const slow = 'wm-slow';
let slowTask: string;
let pipeline: Pipeline;

beforeAll(async () => {
  const env = {
    // Bursts of more than five answers would otherwise wait for the user's next message.
    SEND_ALLOWANCE: '100',
    // However long this takes on a busy machine, nobody is reminded and nothing times out.
    THINKING_REMINDER_MS: '3600000',
    CALLBACK_TIMEOUT_MS: '3600000',
    BRIDGE_ACK_TIMEOUT_MS: '60000',
  };
  pipeline = await startPipeline({ env, wecomSettings: { allowance: 100 } });
});
afterAll(() => pipeline?.stop());

/** Every user's next messages stand in the log in turns: one of each, then the second of each. */
function burst(number: number, size: number): void {
  const round = Array.from({ length: size }, (_, place) => place).flatMap((place) =>
    names.map((user) => ({ user, prompt: `${user} 第 ${number + 1} 轮第 ${place + 1} 句` })),
  );
  const added = pipeline.wecom.control.sendMessages(
    round.map(({ user, prompt }) => ({ externalUserId: user, content: prompt })),
  );
  for (const [index, { user, prompt }] of round.entries())
    asked.push({ user, prompt, msgid: added[index]?.msgid ?? '' });
}

test('all are bound by codes that come in one page', async () => {
  const everybody = [...names, slow];
  const codes = new Map<string, string>();
  const waiting = everybody.values();
  const register = async () => {
    for (const user of waiting) codes.set(user, await pipeline.addInstance(`instance-of-${user}`, { name: user }));
  };
  await Promise.all(Array.from({ length: SIDE_BY_SIDE }, register));
  pipeline.wecom.control.sendMessages(
    everybody.map((externalUserId) => ({ externalUserId, content: codes.get(externalUserId) ?? '' })),
  );
  await eventually('everybody is bound', () => everybody.every((user) => pipeline.heard(user).length > 0), {
    withinMs: 60_000,
  });
  for (const user of everybody) expect(pipeline.heard(user)).toEqual([render('bound', { name: user })]);
});

test('bursts of messages are answered, while one user’s bridge never does', async () => {
  slowTask = pipeline.say(slow, '!never');
  await pipeline.hears(slow, render('thinking'), 30_000);
  for (const [number, size] of BURSTS.entries()) {
    burst(number, size);
    await eventually('every answer of this burst', () => isAllAnswered(pipeline, asked), {
      withinMs: 120_000,
      everyMs: 100,
    });
  }
  expect(pipeline.heard(slow)).toEqual([render('bound', { name: slow }), render('thinking')]);
});

test('nothing was lost, repeated, reordered, run side by side or given to somebody else', async () => {
  expect(asked).toHaveLength(USERS * BURSTS.reduce((sum, size) => sum + size, 0));
  expect(check(pipeline, asked)).toEqual(NO_FINDINGS);
  for (const user of names)
    for (const content of pipeline.heard(user).filter((text) => text.includes('「wm-')))
      expect(content).toContain(`「${user}`);
  const { tasks, counts } = pipeline.bridge.control;
  expect(tasks().filter(({ posts }) => posts !== 1)).toEqual([]);
  expect(counts()).toMatchObject({ tasks: asked.length + 1 });
  const sent = pipeline.wecom.control.sent();
  expect(new Set(sent.map(({ msgid }) => msgid)).size).toBe(sent.length);
  expect(pipeline.wecom.control.refused()).toEqual([]);
});

test('the slow one is still being worked for', async () => {
  const { callbackUrl } = pipeline.bridge.control.task(slowTask) ?? { callbackUrl: '' };
  const body = JSON.stringify({ ok: true, content: '终于', msgId: slowTask });
  await fetch(callbackUrl, { method: 'POST', headers: { 'content-type': 'application/json' }, body });
  await pipeline.hears(slow, '终于', 30_000);
  expect(pipeline.heard(slow)).toEqual([render('bound', { name: slow }), render('thinking'), '终于']);
});
