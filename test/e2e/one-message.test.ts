// What happens to one message of a user: ignored, refused, queued or answered (docs/behaviour.md, section 2).
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { render } from '@pipeline/texts';
import { answerTo, createDialogue, type Dialogue } from '../support/dialogue.ts';
import { type Pipeline, startPipeline } from '../support/pipeline.ts';

jest.setTimeout(60_000);
let pipeline: Pipeline;
let users: Dialogue;
beforeAll(async () => {
  // Here nothing is about the allowance: there is enough for everything.
  const env = { SEND_ALLOWANCE: '100' };
  pipeline = await startPipeline({ partitions: 4, env, wecomSettings: { allowance: 100 } });
  users = createDialogue(pipeline);
});
afterAll(() => pipeline?.stop());

const ERROR_LEVEL = 50;
const thinking = render('thinking');
const queued = (N: number) => render('queued', { N });
const setInstance = (id: string, fields: Record<string, unknown>) => pipeline.api('PATCH', `/instances/${id}`, fields);

describe('a message', () => {
  test('that is no text gets "unsupported", whatever it is', async () => {
    await users.bind('wm-media');
    const msgtypes = ['image', 'voice', 'video', 'file', 'location', 'link', 'business_card', 'invented_tomorrow'];
    pipeline.wecom.control.sendMessages(
      msgtypes.map((msgtype) => ({ externalUserId: 'wm-media', msgtype, body: { text: { content: '你好' } } })),
    );
    await users.hears('wm-media', ...msgtypes.map(() => render('unsupported')));
    expect(pipeline.bridge.control.tasks({ user: 'wm-media' })).toEqual([]);
  });

  test('that is blank is ignored', async () => {
    await users.bind('wm-blank');
    users.sayAtOnce('wm-blank', '', '   ', '\n\t', '\u3000\u00a0', '有字');
    await users.hears('wm-blank', thinking, answerTo('有字'));
    expect(pipeline.bridge.control.tasks({ user: 'wm-blank' })).toHaveLength(1);
  });

  test('reaches the bridge trimmed, blanks and line breaks inside kept', async () => {
    await users.bind('wm-trim');
    const msgid = users.say('wm-trim', ' \n 第一行\n\n  第二行 \t\u3000');
    await users.hears('wm-trim', thinking, answerTo('第一行\n\n  第二行'));
    expect(await users.taskOf(msgid)).toMatchObject({ prompt: '第一行\n\n  第二行', timeoutSeconds: 120, posts: 1 });
  });

  test('is told "thinking" at once, not only when the bridge has acked', async () => {
    await users.bind('wm-at-once');
    pipeline.bridge.control.addRule({ user: 'wm-at-once', behaviour: { ackDelayMs: 1_500 } });
    const { ackedAt } = await users.taskOf(users.say('wm-at-once', '在吗'));
    await users.hears('wm-at-once', thinking);
    expect(ackedAt).toBeNull();
    await users.hears('wm-at-once', answerTo('在吗'));
    const { arrivedAt = Number.NaN } = pipeline.wecom.control.sent({ user: 'wm-at-once' })[1] ?? {};
    const [task] = pipeline.bridge.control.tasks({ user: 'wm-at-once' });
    expect(arrivedAt).toBeLessThan(task?.ackedAt ?? 0);
  });
});

describe('messages of one user', () => {
  test('run strictly one after another, each told how many are before it', async () => {
    const user = 'wm-line';
    await users.bind(user);
    const first = await users.keepBusy(user);
    for (const [index, word] of ['二', '三', '四', '五'].entries()) {
      users.say(user, word);
      await users.hears(user, queued(index + 1));
    }
    users.say(user, '六');
    await users.hears(user, render('queueFull', { depth: 5 }));
    expect(pipeline.bridge.control.tasks({ user })).toHaveLength(1);

    await users.callBack(first, { content: '一' });
    const rest = ['二', '三', '四', '五'].flatMap((word) => [thinking, answerTo(word)]);
    await users.hears(user, '一', ...rest);
    users.say(user, '七');
    await users.hears(user, thinking, answerTo('七'));
    expect(pipeline.bridge.control.tasks({ user }).map(({ prompt }) => prompt)).toEqual([
      '!never',
      '二',
      '三',
      '四',
      '五',
      '七',
    ]);
  });

  test('in one page keep WeCom’s order, whatever their send_time says', async () => {
    const user = 'wm-page';
    await users.bind(user);
    pipeline.bridge.control.addRule({ user, behaviour: { delayMs: 600 } });
    const now = Math.floor(Date.now() / 1000);
    const words = ['甲', '乙', '丙', '丁'];
    pipeline.wecom.control.sendMessages(
      words.map((content, index) => ({ externalUserId: user, content, sendTime: now - index })),
    );
    const answers = words.flatMap((word, index) => (index === 0 ? [answerTo(word)] : [thinking, answerTo(word)]));
    await users.hears(user, thinking, queued(1), queued(2), queued(3), ...answers);
    expect(pipeline.bridge.control.tasks({ user }).map(({ prompt }) => prompt)).toEqual(words);
    const tasks = pipeline.bridge.control.tasks({ user });
    for (const [index, task] of tasks.slice(1).entries())
      expect(task.startedAt).toBeGreaterThanOrEqual(tasks[index]?.endedAt ?? Number.NaN);
  });

  test('that are refused, ignored or codes take no place in the line', async () => {
    const user = 'wm-places';
    await users.bind(user);
    const busy = await users.keepBusy(user);
    pipeline.wecom.control.sendMessage({ externalUserId: user, msgtype: 'image' });
    await users.hears(user, render('unsupported'));
    users.say(user, '  ');
    users.say(user, await pipeline.addInstance('second-of-wm-places', { name: '二虾' }));
    await users.hears(user, render('bound', { name: '二虾' }));
    users.say(user, '第二条');
    await users.hears(user, queued(1));
    await users.callBack(busy, { content: '第一条好了' });
    await users.hears(user, '第一条好了', thinking, answerTo('第二条'));
  });

  test('never wait for those of other users', async () => {
    const busy = await users.bind('wm-slow').then(() => users.keepBusy('wm-slow'));
    for (const user of ['wm-quick-1', 'wm-quick-2', 'wm-quick-3']) {
      await users.bind(user);
      users.say(user, '快问');
      await users.hears(user, thinking, answerTo('快问'));
    }
    await users.callBack(busy, { content: '慢答' });
    await users.hears('wm-slow', '慢答');
  });
});

describe('more than ten messages within a minute', () => {
  const unbound = render('unbound');
  const rateLimited = render('rateLimited', { limit: 10 });

  test('are refused by send_time: the window slides and refused ones don’t count', async () => {
    const start = Math.floor(Date.now() / 1000) - 200;
    const offsets = [0, 5, 10, 15, 20, 25, 30, 35, 40, 45, 50, 59, 60, 60, 65];
    const refused = new Set([10, 11, 13]);
    for (const [index, offset] of offsets.entries()) {
      pipeline.wecom.control.sendMessage({ externalUserId: 'wm-rate', content: '喂', sendTime: start + offset });
      await users.hears('wm-rate', refused.has(index) ? rateLimited : unbound);
    }
  });

  test('are no more than ten if a backlog brings them at once', async () => {
    const start = Math.floor(Date.now() / 1000) - 500;
    const offsets = Array.from({ length: 30 }, (_, index) => index * 7);
    pipeline.wecom.control.sendMessages(
      offsets.map((offset) => ({ externalUserId: 'wm-backlog', content: '喂', sendTime: start + offset })),
    );
    await users.hears('wm-backlog', ...offsets.map(() => unbound));
  });
});

describe('when a message’s turn comes', () => {
  test('a user without a binding is told how to get one', async () => {
    users.say('wm-nobody', '你好');
    await users.hears('wm-nobody', render('unbound'));
  });

  test('the status of the instance counts as it is at that moment', async () => {
    const user = 'wm-status';
    const id = await users.bind(user);
    const busy = await users.keepBusy(user);
    users.say(user, '等一下');
    await users.hears(user, queued(1));
    await setInstance(id, { status: 'stopped' });
    await users.callBack(busy, { content: '好了' });
    await users.hears(user, '好了', render('stopped', { name: '阿虾' }));

    const replies = {
      starting: render('starting', { name: '阿虾' }),
      error: render('error', { name: '阿虾' }),
      升级中: render('otherStatus', { name: '阿虾', status: '升级中' }),
      running: null,
    };
    for (const [status, reply] of Object.entries(replies)) {
      await setInstance(id, { status });
      users.say(user, status);
      await users.hears(user, ...(reply === null ? [thinking, answerTo(status)] : [reply]));
    }
    expect(pipeline.bridge.control.tasks({ user })).toHaveLength(2);
  });

  test('an instance without a host gets "noHost", and the operator an error in the log', async () => {
    const id = await users.bind('wm-no-host', { serverHost: '', hostPort: 0 });
    users.say('wm-no-host', '在哪');
    await users.hears('wm-no-host', render('noHost'));
    const lines = pipeline.services.router.logs().filter((line) => line.includes(id));
    expect(lines.map((line) => JSON.parse(line))).toContainEqual(
      expect.objectContaining({ level: ERROR_LEVEL, msg: 'instance.without-host', instanceId: id }),
    );
    await setInstance(id, { status: 'stopped' });
    users.say('wm-no-host', '在哪');
    await users.hears('wm-no-host', render('stopped', { name: '阿虾' }));
  });

  test('a changed address, a removed binding and a deleted instance act at once', async () => {
    const user = 'wm-moves';
    const id = await users.bind(user);
    const otherPort = await pipeline.bridge.control.listen();
    const busy = await users.keepBusy(user);
    const moved = users.say(user, '搬家');
    users.say(user, '解绑');
    await users.hears(user, queued(1), queued(2));
    await setInstance(id, { hostPort: otherPort });
    pipeline.bridge.control.addRule({ user, prompt: '搬家', behaviour: { result: 'none' } });
    await users.callBack(busy, { content: '好了' });
    await users.hears(user, '好了', thinking);
    expect(await users.taskOf(moved)).toMatchObject({ port: otherPort });
    await pipeline.api('DELETE', `/channels/wecom/bind/${id}`);
    await users.callBack(moved, { content: '搬好了' });
    await users.hears(user, '搬好了', render('unbound'));

    await users.bind('wm-deleted');
    await pipeline.api('DELETE', '/instances/instance-of-wm-deleted');
    users.say('wm-deleted', '还在吗');
    await users.hears('wm-deleted', render('unbound'));
  });
});

test('nobody got anything else', () => users.expectNothingElse());
