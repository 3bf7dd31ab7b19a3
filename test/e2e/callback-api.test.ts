// The bridge's way back: what its callback may look like, and what it is answered (docs/interfaces.md, section 4).
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { userKeyOf } from '@pipeline/contracts';
import { openStore, taskId } from '@pipeline/store';
import { render } from '@pipeline/texts';
import { signCallbackToken } from '../../services/router/src/callback-token.ts';
import { answerTo, createDialogue, type Dialogue, postJson } from '../support/dialogue.ts';
import { quiet } from '../support/open-servers.ts';
import { type Pipeline, startPipeline } from '../support/pipeline.ts';

jest.setTimeout(60_000);
const MAX_BODY_BYTES = 256 * 1024;
const KEYS = ['first-signing-key-first-signing-key-01', 'other-signing-key-other-signing-key-02'];
const thinking = render('thinking');
let pipeline: Pipeline;
let users: Dialogue;
let url: string;
beforeAll(async () => {
  // Here nothing is about the allowance: there is enough for everything.
  const env = { CALLBACK_SIGNING_KEYS: KEYS.join(','), SEND_ALLOWANCE: '1000' };
  pipeline = await startPipeline({ partitions: 4, env, wecomSettings: { allowance: 1000 } });
  users = createDialogue(pipeline);
  url = `${pipeline.services.router.url}/api/v1/agent/channels/wecom/bridge-callback`;
});
afterAll(() => pipeline?.stop());

/** A task that the bridge leaves open, with what its callback needs. */
async function openTask(user: string) {
  await users.bind(user);
  const msgId = await users.keepBusy(user);
  const { callbackUrl, externalUserId } = await users.taskOf(msgId);
  return { user, msgId, callbackUrl, callbackData: { externalUserId, msgId } };
}
function tokenFor(user: string, msgId: string, key: string): string {
  const userKey = userKeyOf({ openKfId: pipeline.wecom.openKfId, externalUserId: user });
  return signCallbackToken(taskId(userKey, msgId), [key]);
}
const post = (token: string, body: unknown) => postJson(`${url}?token=${encodeURIComponent(token)}`, body);
const refusal = (status: number, code: string) => ({
  status,
  body: { error: { code, message: expect.stringMatching(/./) } },
});
const accepted = (status = 'accepted') => ({ status: 200, body: { ok: true, status } });

describe('a callback', () => {
  test('is accepted once; another one is a duplicate, whatever it says, and isn’t shown', async () => {
    const { msgId, user } = await openTask('wm-once');
    expect(await users.callBack(msgId, { content: '第一个' })).toEqual(accepted());
    expect(await users.callBack(msgId, { content: '第二个' })).toEqual(accepted('duplicate'));
    expect(await users.callBack(msgId, { ok: false, content: 'aborted' })).toEqual(accepted('duplicate'));
    await users.hears(user, '第一个');
    users.say(user, '然后');
    await users.hears(user, thinking, answerTo('然后'));
  });

  test('made several times at once counts once', async () => {
    const { msgId, user } = await openTask('wm-race');
    const calls = Array.from({ length: 10 }, (_, index) => users.callBack(msgId, { content: `第 ${index} 个` }));
    const answers = await Promise.all(calls);
    const winner = answers.findIndex(({ body }) => (body as { status: string }).status === 'accepted');
    expect(answers.toSpliced(winner, 1)).toEqual(Array(9).fill(accepted('duplicate')));
    await users.hears(user, `第 ${winner} 个`);
  });

  test('that comes before its turn has heard of an earlier one does not push that aside', async () => {
    const store = await openStore({ uri: pipeline.servers.mongoUri, logger: quiet });
    try {
      for (const [user, first, expected] of [
        ['wm-first-1', { ok: true, content: '先来的' }, '先来的'],
        ['wm-first-2', { ok: false, content: 'agent disconnected' }, render('disconnected', { name: '阿虾' })],
      ] as const) {
        const { msgId } = await openTask(user);
        const id = taskId(userKeyOf({ openKfId: pipeline.wecom.openKfId, externalUserId: user }), msgId);
        await store.tasks.storeAnswer({ id, answer: { ...first, isTimeout: false }, now: store.now() });
        expect(await users.callBack(msgId, { content: '后来的' })).toEqual(accepted('duplicate'));
        await users.hears(user, expected);
      }
    } finally {
      await store.close();
    }
  });

  test('may carry msgId at the top, with callbackData, with half of it or without', async () => {
    const bodies = [{ callbackData: undefined }, { callbackData: { externalUserId: 'wm-top-1' } }, { msgId: 'other' }];
    for (const [index, body] of bodies.entries()) {
      const { msgId, user } = await openTask(`wm-top-${index}`);
      expect(await users.callBack(msgId, { content: '好', msgId, ...body })).toEqual(accepted());
      await users.hears(user, '好');
    }
  });

  test('may have fields that nobody knows, and none but the needed ones', async () => {
    const { msgId, user, callbackUrl } = await openTask('wm-fields');
    const body = { ok: true, content: '好', msgId, usage: { tokens: 7 }, $where: '1', isTimeout: false };
    expect(await postJson(callbackUrl, body)).toEqual(accepted());
    await users.hears(user, '好');
    const other = await openTask('wm-few-fields');
    expect(await postJson(other.callbackUrl, { ok: false, msgId: other.msgId })).toEqual(accepted());
    await users.hears('wm-few-fields', render('failed'));
  });

  test('may be 256 KiB long, not more', async () => {
    const { msgId, user, callbackUrl, callbackData } = await openTask('wm-size');
    const start = `${JSON.stringify({ ok: true, content: '刚好', callbackData }).slice(0, -1)},"padding":"`;
    const ofBytes = (bytes: number) => `${start}${'x'.repeat(bytes - Buffer.byteLength(start) - 2)}"}`;
    expect(await postJson(callbackUrl, ofBytes(MAX_BODY_BYTES + 1))).toEqual(refusal(413, 'body-too-large'));
    expect(await postJson(callbackUrl, ofBytes(MAX_BODY_BYTES))).toEqual(accepted());
    await users.hears(user, '刚好');
    expect(await users.callBack(msgId)).toEqual(accepted('duplicate'));
  });

  test('is for POST only', async () => {
    expect((await fetch(url)).status).toBe(404);
  });
});

describe('refused', () => {
  test('with 400 is what isn’t shaped like a callback, whoever sends it', async () => {
    const { callbackUrl, callbackData, msgId } = await openTask('wm-shape');
    const malformed = [
      '{"ok":true',
      '',
      'null',
      '[]',
      '"x"',
      {},
      { content: 'x', callbackData },
      { ok: 'true', content: 'x', callbackData },
      { ok: true, callbackData },
      { ok: true, content: 7, callbackData },
      { ok: true, content: 'x' },
      { ok: true, content: 'x', msgId: '' },
      { ok: true, content: 'x', msgId: { $ne: '' } },
      { ok: true, content: 'x', msgId, callbackData: 'x' },
      { ok: true, content: 'x', isTimeout: 'no', callbackData },
    ];
    for (const body of malformed)
      for (const address of [callbackUrl, url, `${url}?token=x`])
        expect([body, await postJson(address, body)]).toEqual([body, refusal(400, 'malformed')]);
  });

  test('with 401 is one without the token of its task', async () => {
    const mine = await openTask('wm-mine');
    const other = await openTask('wm-other');
    const { callbackData, msgId } = mine;
    const token = new URL(mine.callbackUrl).searchParams.get('token') ?? '';
    const [task = '', mac = ''] = token.split('.');
    const wrong = [
      '',
      'x',
      task,
      `${task}.`,
      `.${mac}`,
      `${task}.${mac.slice(0, -2)}`,
      `${task}.${mac}.${mac}`,
      [...token].reverse().join(''),
      new URL(other.callbackUrl).searchParams.get('token') ?? '',
      tokenFor(mine.user, msgId, 'a key of somebody else that is long enough'),
      tokenFor(other.user, msgId, 'a key of somebody else that is long enough'),
    ];
    for (const given of wrong)
      expect([given, await post(given, { ok: true, content: '伪造', callbackData })]).toEqual([
        given,
        refusal(401, 'unauthorized'),
      ]);
    expect(await postJson(url, { ok: true, content: '伪造', callbackData })).toEqual(refusal(401, 'unauthorized'));
    expect(await postJson(`${url}?token=a&token=b`, { ok: true, content: '伪造', callbackData })).toEqual(
      refusal(401, 'unauthorized'),
    );
    // The right token, but another user's name beside it.
    const mixed = { externalUserId: other.user, msgId };
    expect(await post(token, { ok: true, content: '伪造', callbackData: mixed })).toEqual(refusal(401, 'unauthorized'));

    // None of that has touched the task: its own callback still is the first. An older key is good as well.
    const olderKey = tokenFor(mine.user, msgId, KEYS[1] ?? '');
    expect(await post(olderKey, { ok: true, content: '真的', callbackData })).toEqual(accepted());
    await users.hears(mine.user, '真的');
    expect(await users.callBack(other.msgId, { content: '也是真的' })).toEqual(accepted());
    await users.hears(other.user, '也是真的');
  });

  test('with 404 is one for a task that never was, if its token is ours; else with 401', async () => {
    const callbackData = { externalUserId: 'wm-nobody', msgId: 'never-was' };
    const body = { ok: true, content: 'x', callbackData };
    expect(await post(tokenFor('wm-nobody', 'never-was', KEYS[0] ?? ''), body)).toEqual(refusal(404, 'task-unknown'));
    expect(await post(tokenFor('wm-nobody', 'never-was', 'x'), body)).toEqual(refusal(401, 'unauthorized'));
  });

  test('first for its size, then for its shape, then for its token, then for its task', async () => {
    const forged = tokenFor('wm-nobody', 'never-was', 'x');
    const ours = tokenFor('wm-nobody', 'never-was', KEYS[0] ?? '');
    const callbackData = { externalUserId: 'wm-nobody', msgId: 'never-was' };
    expect((await post(forged, 'x'.repeat(MAX_BODY_BYTES + 1))).status).toBe(413);
    expect((await post(forged, 'x')).status).toBe(400);
    expect((await post(forged, { ok: true, content: 'x', callbackData })).status).toBe(401);
    expect((await post(ours, { ok: true, content: 'x', callbackData })).status).toBe(404);
  });

  test('the bridge’s own mistakes end the same way', async () => {
    for (const [prompt, status] of [
      ['!forged', 401],
      ['!no-token', 401],
      ['!oversize', 413],
    ] as const) {
      const user = `wm-${prompt.slice(1)}`;
      await users.bind(user);
      const msgid = users.say(user, prompt);
      await users.hears(user, thinking);
      const task = await users.taskOf(msgid);
      await users.callBack(msgid, { content: '改好了' });
      await users.hears(user, '改好了');
      expect([prompt, task.callbacks.map((callback) => callback.status)]).toEqual([prompt, [status]]);
    }
  });
});

test('nobody got anything else', () => {
  const oversized = pipeline.bridge.control.tasks().filter(({ contentBytes }) => (contentBytes ?? 0) > MAX_BODY_BYTES);
  expect(oversized).toHaveLength(1);
  users.expectNothingElse();
});
