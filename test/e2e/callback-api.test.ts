// The bridge's way back: what its callback may look like, and what it is answered (docs/interfaces.md, section 4).
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { userKeyOf } from '@pipeline/contracts';
import { render } from '@pipeline/texts';
import { signCallbackToken, taskId } from '../../services/router/src/bridge/callback-token.ts';
import { answerTo, createDialogue, type Dialogue, metric, postJson } from '../support/dialogue.ts';
import { eventually } from '../support/eventually.ts';
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
const accepted = { status: 200, body: { ok: true, status: 'accepted' } };

describe('a callback', () => {
  test('counts once; another one is taken as well, whatever it says, and isn’t shown', async () => {
    const { msgId, user } = await openTask('wm-once');
    expect(await users.callBack(msgId, { content: '第一个' })).toEqual(accepted);
    expect(await users.callBack(msgId, { content: '第二个' })).toEqual(accepted);
    expect(await users.callBack(msgId, { ok: false, content: 'aborted' })).toEqual(accepted);
    await users.hears(user, '第一个');
    users.say(user, '然后');
    await users.hears(user, thinking, answerTo('然后'));
  });

  test('made a thousand times counts once, and floods no mailbox', async () => {
    const { msgId, user } = await openTask('wm-race');
    const handled = () => metric(pipeline.services.router.url, 'mailbox_events_total', 'type="bridge.answered"');
    const before = await handled();
    const calls = Array.from({ length: 1_000 }, (_, index) => users.callBack(msgId, { content: `第 ${index} 个` }));
    expect((await Promise.all(calls)).filter(({ status }) => status !== 200)).toEqual([]);
    await eventually('an answer is heard', () => pipeline.heard(user).at(-1)?.startsWith('第 '));
    users.say(user, '然后');
    await eventually('the next one is answered', () => pipeline.heard(user).at(-1)?.includes('「然后」'));
    expect(pipeline.heard(user).filter((text) => text.startsWith('第 '))).toHaveLength(1);
    expect((await handled()) - before).toBe(2);
    users.takesNote(user);
  });

  test('may carry msgId at the top, with callbackData, with half of it or without', async () => {
    const bodies = [{ callbackData: undefined }, { callbackData: { externalUserId: 'wm-top-1' } }, { msgId: 'other' }];
    for (const [index, body] of bodies.entries()) {
      const { msgId, user } = await openTask(`wm-top-${index}`);
      expect(await users.callBack(msgId, { content: '好', msgId, ...body })).toEqual(accepted);
      await users.hears(user, '好');
    }
  });

  test('may have fields that nobody knows, and none but the needed ones', async () => {
    const { msgId, user, callbackUrl } = await openTask('wm-fields');
    const body = { ok: true, content: '好', msgId, usage: { tokens: 7 }, $where: '1', isTimeout: false };
    expect(await postJson(callbackUrl, body)).toEqual(accepted);
    await users.hears(user, '好');
    const other = await openTask('wm-few-fields');
    expect(await postJson(other.callbackUrl, { ok: false, msgId: other.msgId })).toEqual(accepted);
    await users.hears('wm-few-fields', render('failed'));
  });

  test('may be 256 KiB long, not more', async () => {
    const { msgId, user, callbackUrl, callbackData } = await openTask('wm-size');
    const start = `${JSON.stringify({ ok: true, content: '刚好', callbackData }).slice(0, -1)},"padding":"`;
    const ofBytes = (bytes: number) => `${start}${'x'.repeat(bytes - Buffer.byteLength(start) - 2)}"}`;
    expect(await postJson(callbackUrl, ofBytes(MAX_BODY_BYTES + 1))).toEqual(refusal(413, 'body-too-large'));
    expect(await postJson(callbackUrl, ofBytes(MAX_BODY_BYTES))).toEqual(accepted);
    await users.hears(user, '刚好');
    expect(await users.callBack(msgId)).toEqual(accepted);
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
    expect(await post(olderKey, { ok: true, content: '真的', callbackData })).toEqual(accepted);
    await users.hears(mine.user, '真的');
    expect(await users.callBack(other.msgId, { content: '也是真的' })).toEqual(accepted);
    await users.hears(other.user, '也是真的');
  });

  test('with 401 is also one for a task that never was; with a token of ours it changes nothing', async () => {
    const callbackData = { externalUserId: 'wm-nobody', msgId: 'never-was' };
    const body = { ok: true, content: 'x', callbackData };
    expect(await post(tokenFor('wm-nobody', 'never-was', 'x'), body)).toEqual(refusal(401, 'unauthorized'));
    expect(await post(tokenFor('wm-nobody', 'never-was', KEYS[0] ?? ''), body)).toEqual(accepted);
    expect(pipeline.heard('wm-nobody')).toEqual([]);
  });

  test('first for its size, then for its shape, then for its token', async () => {
    const forged = tokenFor('wm-nobody', 'never-was', 'x');
    const callbackData = { externalUserId: 'wm-nobody', msgId: 'never-was' };
    expect((await post(forged, 'x'.repeat(MAX_BODY_BYTES + 1))).status).toBe(413);
    expect((await post(forged, 'x')).status).toBe(400);
    expect((await post(forged, { ok: true, content: 'x', callbackData })).status).toBe(401);
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
