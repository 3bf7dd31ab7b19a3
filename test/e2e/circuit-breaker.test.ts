// An instance whose bridge keeps failing is asked no more for a while (docs/behaviour.md, section 4).
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { render } from '@pipeline/texts';
import { answerTo, createDialogue, type Dialogue, metric } from '../support/dialogue.ts';
import { eventually } from '../support/eventually.ts';
import { type Pipeline, startPipeline } from '../support/pipeline.ts';

jest.setTimeout(60_000);
const thinking = render('thinking');
const failed = render('failed');
let pipeline: Pipeline;
let users: Dialogue;
beforeAll(async () => {
  // The circuit is half-open again after a time in which several messages can fail.
  const env = { BREAKER_RESET_MS: '3000', RATE_LIMIT_PER_MINUTE: '1000' };
  pipeline = await startPipeline({ partitions: 4, env });
  users = createDialogue(pipeline);
});
afterAll(() => pipeline?.stop());

const asks = async (user: string, prompt: string, reply: unknown) => {
  users.say(user, prompt);
  await users.hears(user, thinking, reply);
};
const posts = (user: string) => pipeline.bridge.control.tasks({ user }).length;
const halfOpen = () =>
  eventually(
    'a half-open circuit',
    async () => (await metric(pipeline.services.router.url, 'router_breakers_half_open')) === 1,
    { withinMs: 30_000 },
  );

test('opens at half of at least five calls, fails without a POST, and half-opens with one task', async () => {
  const user = 'wm-broken';
  await users.bind(user);
  for (let call = 1; call <= 5; call++) await asks(user, '!status 500', failed);
  expect(posts(user)).toBe(5);
  for (let call = 1; call <= 2; call++) await asks(user, '!status 500', failed);
  expect(posts(user)).toBe(5);

  await halfOpen();
  await asks(user, '!status 500', failed);
  expect(posts(user)).toBe(6);
  await asks(user, '你好', failed);
  expect(posts(user)).toBe(6);

  await halfOpen();
  await asks(user, '好了吗', answerTo('好了吗'));
  await asks(user, '真的吗', answerTo('真的吗'));
  expect(posts(user)).toBe(8);
});

test('stays closed below half, and opens at exactly half', async () => {
  const user = 'wm-half';
  await users.bind(user);
  for (const word of ['一', '二', '三']) await asks(user, word, answerTo(word));
  for (let call = 1; call <= 2; call++) await asks(user, '!not-json', failed);
  await asks(user, '!drop-before', failed);
  expect(posts(user)).toBe(6);
  await asks(user, '四', failed);
  expect(posts(user)).toBe(6);
});

test('counts no refusals and no errors of the agent: the transport worked', async () => {
  const user = 'wm-refusing';
  await users.bind(user);
  for (let call = 1; call <= 4; call++) {
    await asks(user, '!refuse', render('bridgeRestarting'));
    await asks(user, '!error no', failed);
  }
  await asks(user, '你好', answerTo('你好'));
  expect(posts(user)).toBe(9);
});

test('is each instance’s own, though they share a host and a port', async () => {
  const [user, neighbour] = ['wm-open', 'wm-neighbour'];
  await users.bind(user);
  await users.bind(neighbour);
  for (let call = 1; call <= 6; call++) await asks(user, '!status 502', failed);
  expect(posts(user)).toBe(5);
  await asks(neighbour, '你好', answerTo('你好'));
});

test('nobody got anything else', () => users.expectNothingElse());
