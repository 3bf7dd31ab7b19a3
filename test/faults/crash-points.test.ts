// Router and sender die between every two steps of handling an event: the next process neither loses nor repeats it.
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type AskedMessage, check, NO_FINDINGS, settle } from '../support/checker.ts';
import { eventually } from '../support/eventually.ts';
import { type Pipeline, startPipeline } from '../support/pipeline.ts';
import type { ServiceName } from '../support/service-process.ts';

const USERS = ['wm-1', 'wm-2', 'wm-3'];
const BOTH: ServiceName[] = ['router', 'sender'];
// In the order in which they follow upon each other; after `acked` the first step of the next event follows. Never the
// first time: others are under way then. The first is a step of saves that users share: there may be but two of them.
const STEPS: [step: string, services: ServiceName[], nth: number][] = [
  ['side-writes-saved', BOTH, 2],
  ['saved', BOTH, 3],
  ['effect-run', BOTH, 3],
  ['removed', BOTH, 3],
  ['acked', BOTH, 3],
];

let pipeline: Pipeline;
const asked: AskedMessage[] = [];

beforeAll(async () => {
  pipeline = await startPipeline({ env: { RATE_LIMIT_PER_MINUTE: '100', NODE_ENV: 'test' }, partitions: 4 });
  pipeline.bridge.control.changeSettings({ behaviour: { delayMs: 50, jitterMs: 100 } });
  await Promise.all(USERS.map((user) => pipeline.bind(user)));
});
afterAll(() => pipeline?.stop());

const ask = (user: string, prompt = `问题${asked.length + 1}`) => {
  asked.push({ user, prompt, msgid: pipeline.say(user, prompt) });
};

/** A continuation word, spelt as never before. The sender decides what it is: that is what it publishes about. */
const askWord = (user: string) => {
  const letters = [...'continue'].map((letter, bit) => ((asked.length >> bit) & 1 ? letter.toUpperCase() : letter));
  ask(user, letters.join(''));
};

test.each(STEPS)('killed after the step "%s", %s lose, repeat and reorder nothing', async (step, names, nth) => {
  const dying = names.map((name) => pipeline.services[name]);
  await Promise.all(dying.map((service) => service.stop()));
  await Promise.all(dying.map((service) => service.start({ FAULT_POINT: `${step}:${nth}` })));
  for (const user of USERS) {
    ask(user);
    askWord(user);
  }
  await eventually('all have died', () => dying.every((service) => !service.isRunning()));
  // By their own hand, not by a fault of ours.
  expect(await Promise.all(dying.map((service) => service.stop()))).toEqual(dying.map(() => 'SIGKILL'));
  await Promise.all(dying.map((service) => service.start()));
  await settle(pipeline, asked, (user) => ask(user));
  expect(check(pipeline, asked)).toEqual(NO_FINDINGS);
});
