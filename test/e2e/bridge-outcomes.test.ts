// Whatever a bridge does, its user gets one reply (docs/behaviour.md, section 4).
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { render } from '@pipeline/texts';
import type { BehaviourPatch } from '../simulators/bridge/behaviour.ts';
import { answerTo, createDialogue, type Dialogue } from '../support/dialogue.ts';
import { eventually } from '../support/eventually.ts';
import { freePorts, type Pipeline, startPipeline } from '../support/pipeline.ts';

jest.setTimeout(60_000);
const REMINDER_MS = 1_000;
const CALLBACK_TIMEOUT_MS = 3_000;
const ACK_TIMEOUT_MS = 1_500;
const name = '阿虾';
const thinking = render('thinking');
const stillThinking = render('stillThinking');
const timeout = render('timeout');
const failed = render('failed');
const late = (content: string) => render('lateReply', { content });
let pipeline: Pipeline;
let users: Dialogue;
beforeAll(async () => {
  const env = {
    THINKING_REMINDER_MS: String(REMINDER_MS),
    CALLBACK_TIMEOUT_MS: String(CALLBACK_TIMEOUT_MS),
    BRIDGE_ACK_TIMEOUT_MS: String(ACK_TIMEOUT_MS),
    RATE_LIMIT_PER_MINUTE: '100',
  };
  pipeline = await startPipeline({ partitions: 4, env });
  users = createDialogue(pipeline);
});
afterAll(() => pipeline?.stop());

const ack = (ackError: string): BehaviourPatch => ({ ack: 'refuse', ackError });
const error = (content: string): BehaviourPatch => ({ result: 'error', content });

describe('the reply to', () => {
  const rows: [what: string, behaviour: BehaviourPatch, reply: string][] = [
    ['a callback with ok', { content: '给你' }, '给你'],
    ['a callback with ok that comes before the ack', { callbackFirst: true, content: '先答' }, '先答'],
    ['a callback with msgId at the top', { msgIdAt: 'top', content: '在上面' }, '在上面'],
    ['several callbacks is the first', { callbacks: 3, differs: true, content: '第一次' }, '第一次'],
    ['a callback with isTimeout', { result: 'timeout', content: 'aborted: not connected' }, timeout],
    ['an ack with "not connected"', ack('Bridge is NOT Connected (code 17)'), render('bridgeRestarting')],
    ['any other ack that refuses', ack('disconnected, aborted, shutting down'), render('bridgeRefused')],
    ['an ack that refuses without a word', ack(''), render('bridgeRefused')],
    ['an error with "disconnected"', error('Agent DISCONNECTED at 10:00'), render('disconnected', { name })],
    ['an error with "not connected"', error('gateway Not connected'), render('disconnected', { name })],
    ['an error with "aborted"', error('Run was ABORTED by operator'), render('aborted')],
    ['an error with "shutting down"', error('node is Shutting Down'), render('shuttingDown')],
    ['any other error', error('TypeError: secret of /app/agent.js:1:1'), failed],
    ['an error without a word', error(''), failed],
    ['HTTP 500', { ack: 'status', ackStatus: 500 }, failed],
    ['HTTP 503', { ack: 'status', ackStatus: 503 }, failed],
    ['HTTP 404', { ack: 'status', ackStatus: 404 }, failed],
    ['HTTP 429', { ack: 'status', ackStatus: 429 }, failed],
    ['an ack that is no JSON', { ack: 'notJson' }, failed],
    ['an ack of over 256 KiB', { ack: 'huge', ackBytes: 257 * 1024, result: 'none' }, failed],
    ['no ack in time', { ack: 'none', result: 'none' }, failed],
    ['a connection that is cut', { ack: 'dropBefore' }, failed],
    ['a callback that never comes', { result: 'none' }, timeout],
  ];
  const userOf = (index: number) => `wm-outcome-${index}`;
  const heardBy: Promise<string[]>[] = [];

  /** What the user got for one message to such a bridge; how long it took is another test's business. */
  const hearReply = async (user: string): Promise<string[]> => {
    users.say(user, '你好');
    const heard = () => pipeline.heard(user).filter((text) => text !== stillThinking);
    await eventually(`${user} gets a reply`, () => heard().length >= 3, { withinMs: 45_000 });
    return heard();
  };

  beforeAll(async () => {
    await Promise.all(rows.map((_, index) => users.bind(userOf(index))));
    // All at once: the slow ones don't add up.
    for (const [index, [, behaviour]] of rows.entries()) {
      pipeline.bridge.control.addRule({ user: userOf(index), behaviour });
      heardBy.push(hearReply(userOf(index)));
    }
    await Promise.allSettled(heardBy);
    for (const index of rows.keys()) {
      users.takesNote(userOf(index));
      pipeline.bridge.control.addRule({ user: userOf(index), behaviour: {} });
      users.say(userOf(index), '下一个');
    }
  });

  test.each(rows.map(([what, , reply], index) => [what, index, reply] as const))('%s', async (_what, index, reply) => {
    const user = userOf(index);
    expect(await heardBy[index]).toEqual([render('bound', { name }), thinking, reply]);
    // The turn is over: the next message runs.
    await users.hears(user, thinking, answerTo('下一个'));
    expect(pipeline.bridge.control.tasks({ user })).toMatchObject([{ posts: 1 }, { posts: 1 }]);
  });

  test('a bridge that nobody listens to', async () => {
    const [hostPort = 0] = await freePorts(1);
    await users.bind('wm-refused', { hostPort });
    users.say('wm-refused', '你好');
    await users.hears('wm-refused', thinking, failed);
  });

  test('a host that can’t be found', async () => {
    await users.bind('wm-unknown-host', { serverHost: 'no-such-host.invalid' });
    users.say('wm-unknown-host', '你好');
    await users.hears('wm-unknown-host', thinking, failed);
  });
});

describe('a slow bridge', () => {
  const stories: [what: string, story: () => Promise<void>][] = [];
  const story = (what: string, tell: () => Promise<void>) => stories.push([what, tell]);
  story('is excused once, then given up, whatever it does', async () => {
    const user = 'wm-slow';
    await users.bind(user);
    const first = users.say(user, '!never');
    await users.hears(user, thinking, stillThinking, timeout);
    const { startedAt, ackedAt } = await users.taskOf(first);
    const [, , reminder, end] = pipeline.wecom.control.sent({ user });
    expect(reminder?.arrivedAt).toBeGreaterThanOrEqual(startedAt + REMINDER_MS - CLOCK_DOUBT_MS);
    expect(end?.arrivedAt).toBeGreaterThanOrEqual((ackedAt ?? 0) + CALLBACK_TIMEOUT_MS - CLOCK_DOUBT_MS);

    users.say(user, '然后呢');
    await users.hears(user, thinking, answerTo('然后呢'));
    expect(await users.callBack(first, { content: '终于好了' })).toMatchObject({
      body: { ok: true, status: 'accepted' },
    });
    await users.hears(user, late('终于好了'));
    expect(await users.callBack(first)).toMatchObject({ status: 200, body: { ok: true, status: 'accepted' } });
  });

  story('that answers after the reminder is heard', async () => {
    await users.bind('wm-after-reminder');
    const msgid = users.say('wm-after-reminder', '!never');
    await users.hears('wm-after-reminder', thinking, stillThinking);
    await users.callBack(msgid, { content: '来了' });
    await users.hears('wm-after-reminder', '来了');
  });

  story('holds back only what its user asked behind it', async () => {
    const user = 'wm-behind';
    await users.bind(user);
    users.sayAtOnce(user, '!never', '后面的');
    await eventually('its answer', () => pipeline.heard(user).at(-1)?.includes('「后面的」'), { withinMs: 30_000 });
    const courtesy = [thinking, stillThinking, render('queued', { N: 1 })];
    const answers = pipeline.heard(user).filter((text) => !courtesy.includes(text));
    expect(answers).toEqual([render('bound', { name }), timeout, answerTo('后面的')]);
    const [first, second] = pipeline.bridge.control.tasks({ user });
    expect(second?.startedAt).toBeGreaterThanOrEqual((first?.ackedAt ?? 0) + CALLBACK_TIMEOUT_MS - CLOCK_DOUBT_MS);
    users.takesNote(user);
  });

  story('that failed while being asked may still answer late, but its late errors aren’t shown', async () => {
    await users.bind('wm-lost-ack');
    pipeline.bridge.control.addRule({ user: 'wm-lost-ack', behaviour: { ack: 'dropAfter', content: '其实好了' } });
    users.say('wm-lost-ack', '你好');
    await users.hears('wm-lost-ack', thinking, failed, late('其实好了'));

    await users.bind('wm-late-error');
    const msgid = users.say('wm-late-error', '!never');
    await users.hears('wm-late-error', thinking, stillThinking, timeout);
    const answer = { ok: false, content: 'agent aborted' };
    expect(await users.callBack(msgid, answer)).toMatchObject({ status: 200, body: { status: 'accepted' } });
    users.say('wm-late-error', '你好');
    await users.hears('wm-late-error', thinking, answerTo('你好'));
  });

  let told: Promise<void>[] = [];
  beforeAll(async () => {
    // All at once, as above.
    told = stories.map(([, tell]) => tell());
    await Promise.allSettled(told);
  });
  test.each(stories.map(([what], index) => [what, index] as const))('%s', (_what, index) => told[index]);
});

test('nobody got anything else', () => users.expectNothingElse());

/** Between this process and the others, and between beginning a request and its arrival. */
const CLOCK_DOUBT_MS = 200;
