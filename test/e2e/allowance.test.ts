// Five messages after each of the customer's (docs/behaviour.md, section 7).
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { sleep } from '@pipeline/runtime';
import { render } from '@pipeline/texts';
import { longAnswer } from '../simulators/bridge/answers.ts';
import { answerTo, createDialogue, type Dialogue, metric } from '../support/dialogue.ts';
import { eventually } from '../support/eventually.ts';
import { type Pipeline, startPipeline } from '../support/pipeline.ts';

jest.setTimeout(60_000);
const thinking = render('thinking');
const more = render('more');
const LONG_BYTES = 14_000;
const paragraphs = longAnswer(LONG_BYTES).match(/【第 \d+ 段】/g) ?? [];
let pipeline: Pipeline;
let users: Dialogue;
beforeAll(async () => {
  pipeline = await startPipeline({ partitions: 4 });
  users = createDialogue(pipeline);
});
afterAll(() => pipeline?.stop());

/** A long answer has used up the allowance: four parts, the last of which says that there is more. */
async function hearsFirstParts(user: string): Promise<void> {
  await users.bind(user);
  users.say(user, `长文 ${LONG_BYTES}`);
  const part = expect.stringContaining('】');
  const last = expect.stringMatching(new RegExp(`】.*${more.replaceAll(/[()]/g, '\\$&')}$`, 's'));
  await users.hears(user, thinking, part, part, part, last);
}

/** The rest has come, whole and in order, behind what was heard before. */
async function hearsRest(user: string): Promise<void> {
  const lastParagraph = paragraphs.at(-1) ?? '';
  await eventually('the rest', () => pipeline.heard(user).some((text) => text.includes(lastParagraph)), {
    withinMs: 30_000,
  });
  expect(
    pipeline
      .heard(user)
      .join('')
      .match(/【第 \d+ 段】/g),
  ).toEqual(paragraphs);
  expect(pipeline.heard(user).filter((text) => text.includes(more))).toHaveLength(1);
}

describe('an answer of more parts than are left', () => {
  test.each([
    [1, '继续'],
    [2, ' 更多\n'],
    [3, 'MORE'],
    [4, 'Continue'],
  ])('waits, and word %d, %j, brings the rest without asking the agent', async (index, word) => {
    const user = `wm-word-${index}`;
    await hearsFirstParts(user);
    users.say(user, word);
    await hearsRest(user);
    users.takesNote(user);
    users.say(user, '下一个');
    await users.hears(user, thinking, answerTo('下一个'));
    expect(pipeline.bridge.control.tasks({ user })).toHaveLength(2);
    expect(pipeline.wecom.control.refused({ user })).toEqual([]);
  });

  test('waits, and any other message brings the rest first, then its own answer', async () => {
    const user = 'wm-other';
    await hearsFirstParts(user);
    users.say(user, '另一个问题');
    await hearsRest(user);
    await eventually('the answer', () => pipeline.heard(user).at(-1)?.includes('「另一个问题」'), { withinMs: 30_000 });
    users.takesNote(user);
    expect(pipeline.wecom.control.refused({ user })).toEqual([]);
  });

  test('waits, and a picture brings the rest too', async () => {
    const user = 'wm-picture';
    await hearsFirstParts(user);
    pipeline.wecom.control.sendMessage({ externalUserId: user, msgtype: 'image' });
    await hearsRest(user);
    await eventually('the notice', () => pipeline.heard(user).at(-1) === render('unsupported'), { withinMs: 30_000 });
    users.takesNote(user);
  });
});

describe('five messages in a row', () => {
  const prompts = (user: string) => Array.from({ length: 5 }, (_, index) => `${user} 第${index + 1}问`);
  const isAnswered = (user: string) => (prompt: string) =>
    pipeline.heard(user).some((text) => text.includes(`「${prompt}」`));

  test.each([300, 0])('%d ms apart are all answered, or the last text says 继续', async (apartMs) => {
    const user = `wm-five-${apartMs}`;
    const isOnePage = apartMs === 0;
    await users.bind(user);
    pipeline.bridge.control.addRule({ user, behaviour: { delayMs: 2_000 } });
    if (isOnePage)
      pipeline.wecom.control.sendMessages(prompts(user).map((content) => ({ externalUserId: user, content })));
    for (const prompt of isOnePage ? [] : prompts(user)) {
      pipeline.say(user, prompt);
      await sleep(apartMs);
    }
    await eventually(
      'all tasks are done',
      () => {
        const tasks = pipeline.bridge.control.tasks({ user });
        return tasks.length === 5 && tasks.every(({ callbacks }) => callbacks[0]?.hasEnded);
      },
      { withinMs: 30_000 },
    );
    const hasAll = () => prompts(user).every(isAnswered(user));
    const wasTold = () => pipeline.heard(user).at(-1)?.endsWith(more) === true;
    await eventually('all is heard, or the last text says that there is more', () => hasAll() || wasTold());
    // Five sends pay for `thinking`, one `queued` and three answers.
    if (isOnePage) expect(hasAll()).toBe(false);
    if (!hasAll()) {
      await eventually('an operator sees who waits', async () => {
        const { url: sender } = pipeline.services.sender;
        return (
          (await metric(sender, 'sender_users_waiting')) === 1 && (await metric(sender, 'sender_texts_waiting')) > 0
        );
      });
      pipeline.say(user, '继续');
      await eventually('the rest comes', hasAll);
    }
    const heard = pipeline.heard(user).join('\n');
    const places = prompts(user).map((prompt) => heard.indexOf(`「${prompt}」`));
    expect(places).toEqual(places.toSorted((a, b) => a - b));
    expect(pipeline.bridge.control.tasks({ user })).toHaveLength(5);
    expect(pipeline.wecom.control.refused({ user })).toEqual([]);
    users.takesNote(user);
  });
});

test('while nothing waits, continuation words are messages like any other', async () => {
  const user = 'wm-nothing';
  await users.bind(user);
  for (const word of ['继续', '更多', 'more', 'continue']) {
    users.say(user, word);
    await users.hears(user, thinking, answerTo(word));
  }
});

describe('courtesy', () => {
  test('is left out when fewer than three sends would remain for answers', async () => {
    const user = 'wm-courtesy';
    await users.bind(user);
    const skipped = () => metric(pipeline.services.sender.url, 'sender_texts_total', 'event="courtesy-skipped"');
    const before = await skipped();
    const first = await users.keepBusy(user);
    const second = users.say(user, '!never');
    await users.hears(user, render('queued', { N: 1 }));
    await users.callBack(first, { content: longAnswer(3_000) });
    await users.hears(user, expect.stringContaining('【第 0001 段】'), expect.stringContaining('】'));
    // Two of five are left, so "thinking" isn't sent; the answer is.
    await users.callBack(second, { content: '答案' });
    await users.hears(user, '答案');
    const sent = pipeline.wecom.control.sent({ user });
    expect(sent.at(-1)).toMatchObject({ remaining: 1 });
    expect(await skipped()).toBe(before + 1);
  });
});

describe('when WeCom itself refuses', () => {
  const refuse = (user: string, errcode: number) =>
    pipeline.wecom.control.addFault({ api: 'send_msg', user, count: 1, action: { kind: 'errcode', errcode } });
  const isRefused = (user: string) =>
    eventually('a refusal', () => pipeline.wecom.control.refused({ user }).length === 1, { withinMs: 30_000 });

  test.each([95001, 95002, 95013, 95018])(
    'an answer with %d, it waits for the user’s next message',
    async (errcode) => {
      const user = `wm-${errcode}`;
      await users.bind(user);
      const msgid = await users.keepBusy(user);
      refuse(user, errcode);
      await users.callBack(msgid, { content: '重要的答案' });
      await isRefused(user);
      users.say(user, '在吗');
      await users.hears(user, '重要的答案', thinking, answerTo('在吗'));
      expect(pipeline.wecom.control.refused({ user })).toHaveLength(1);
    },
  );

  test('a courtesy or a notice with 95001, it is dropped', async () => {
    const user = 'wm-dropped';
    await users.bind(user);
    refuse(user, 95001);
    pipeline.wecom.control.sendMessage({ externalUserId: user, msgtype: 'image' });
    await isRefused(user);
    users.say(user, '你好');
    await users.hears(user, thinking, answerTo('你好'));
  });

  test('the middle of an answer, the order of its parts stays', async () => {
    const user = 'wm-middle';
    await users.bind(user);
    const msgid = await users.keepBusy(user);
    pipeline.wecom.control.addFault({
      api: 'send_msg',
      user,
      skip: 1,
      count: 1,
      action: { kind: 'errcode', errcode: 95001 },
    });
    await users.callBack(msgid, { content: longAnswer(5_000) });
    await users.hears(user, expect.stringContaining('【第 0001 段】'));
    await isRefused(user);
    users.say(user, '继续');
    await users.hears(user, expect.stringContaining('】'), expect.stringContaining('】'));
    const read = pipeline
      .heard(user)
      .join('')
      .match(/【第 \d+ 段】/g);
    expect(read).toEqual(longAnswer(5_000).match(/【第 \d+ 段】/g));
    expect(pipeline.bridge.control.tasks({ user })).toHaveLength(1);
  });

  test('busy for a moment, the part is sent again', async () => {
    const user = 'wm-busy';
    await users.bind(user);
    const msgid = await users.keepBusy(user);
    refuse(user, -1);
    await users.callBack(msgid, { content: '答案' });
    await users.hears(user, '答案');
  });

  test('nothing but doesn’t answer, the part isn’t sent twice', async () => {
    const user = 'wm-silent';
    await users.bind(user);
    const msgid = await users.keepBusy(user);
    pipeline.wecom.control.addFault({ api: 'send_msg', user, count: 1, action: { kind: 'acceptThenDrop' } });
    await users.callBack(msgid, { content: '答案' });
    await users.hears(user, '答案');
    await isRefused(user);
    expect(pipeline.wecom.control.refused({ user })).toMatchObject([{ errcode: 95033, byFault: false }]);
    users.say(user, '还有吗');
    await users.hears(user, thinking, answerTo('还有吗'));
  });

  test('a part after accepting it, it is sent again after the user’s next message', async () => {
    const user = 'wm-failed-later';
    await users.bind(user);
    const msgid = await users.keepBusy(user);
    await users.callBack(msgid, { content: '没送到的答案' });
    await users.hears(user, '没送到的答案');
    const sent = pipeline.wecom.control.sent({ user }).at(-1);
    pipeline.wecom.control.failSend({ msgid: sent?.msgid ?? '', failType: 4 });
    await eventually(
      'the report is read',
      async () => (await metric(pipeline.services.sender.url, 'sender_texts_total', 'event="failure-reported"')) === 1,
      { withinMs: 30_000 },
    );
    users.say(user, '在吗');
    await users.hears(user, '没送到的答案', thinking, answerTo('在吗'));
  });
});

test('nobody got anything else', () => users.expectNothingElse());
