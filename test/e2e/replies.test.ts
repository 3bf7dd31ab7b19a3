// An agent's answer as its user gets it: cleaned, in parts that WeCom doesn't cut, in order (docs/behaviour.md, section 5).
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { render } from '@pipeline/texts';
import { longAnswer } from '../simulators/bridge/answers.ts';
import { createDialogue, type Dialogue } from '../support/dialogue.ts';
import { eventually } from '../support/eventually.ts';
import { type Pipeline, startPipeline } from '../support/pipeline.ts';

jest.setTimeout(60_000);
const MAX_BYTES = 2048;
const thinking = render('thinking');
let pipeline: Pipeline;
let users: Dialogue;
let asked = 0;
beforeAll(async () => {
  // Here nothing is about the allowance: there is enough for every part.
  const env = { SEND_ALLOWANCE: '1000', RATE_LIMIT_PER_MINUTE: '1000' };
  pipeline = await startPipeline({ partitions: 4, env, wecomSettings: { allowance: 1000 } });
  users = createDialogue(pipeline);
  await users.bind('wm-reader');
});
afterAll(() => pipeline?.stop());

/** What the user gets between this question and the next one's answer. */
async function partsOf(content: string): Promise<string[]> {
  asked += 1;
  const [question, marker] = [`第 ${asked} 问`, `第 ${asked} 问完`];
  const { control } = pipeline.bridge;
  control.addRule({ user: 'wm-reader', prompt: question, behaviour: { content } });
  control.addRule({ user: 'wm-reader', prompt: marker, behaviour: { content: marker } });
  const from = pipeline.heard('wm-reader').length;
  users.say('wm-reader', question);
  await eventually('the question is asked', () => control.tasks({ user: 'wm-reader' }).length === 2 * asked - 1);
  users.say('wm-reader', marker);
  await eventually('the end', () => pipeline.heard('wm-reader').at(-1) === marker, { withinMs: 30_000 });
  users.takesNote('wm-reader');
  const courtesy = [thinking, marker, render('queued', { N: 1 })];
  const parts = pipeline.heard('wm-reader').slice(from);
  const sent = pipeline.wecom.control.sent({ user: 'wm-reader' });
  expect(new Set(sent.map(({ msgid }) => msgid)).size).toBe(sent.length);
  for (const part of parts) expect(Buffer.byteLength(part)).toBeLessThanOrEqual(MAX_BYTES);
  return parts.filter((text) => !courtesy.includes(text));
}

test.each([
  ['a frame', '读不了\n    at /app/file.js:10:5\n换一种办法。', '读不了\n换一种办法。'],
  ['a frame behind a function’s name', '出错\n    at Agent.run (/app/agent.js:10:5)\n', '出错'],
  ['frames in one line', '出错 at a (/x/a.js:1:2) at /x/b.js:3:4 了', '出错 了'],
  [
    'an anonymous async frame',
    'E\n  at async Promise.all (index 0)\n  at async run (file:///a/b.mjs:7:9)',
    expect.anything(),
  ],
])('%s of a stack trace is removed', async (_what, content, shown) => {
  const parts = await partsOf(content);
  expect(parts).toEqual([shown]);
  expect(parts[0]).not.toMatch(/:\d+:\d+/);
});

test.each([
  ['times of day', '开会 at 12:30:45 见'],
  ['addresses', 'see http://example.com:80 or C:\\x.txt at home'],
  ['Markdown and placeholders', '**粗体** `code` {N} {name} $1 %s <b>&amp;</b>\n\n- 一\n- 二'],
])('%s stay as they are', async (_what, content) => {
  expect(await partsOf(content)).toEqual([content]);
});

test.each([
  ['nothing', ''],
  ['blanks only', ' \n\t\u3000 '],
  ['a stack trace only', '\n    at run (/app/agent.js:10:5)\n    at /app/main.js:1:1\n'],
])('an answer of %s is said to be empty', async (_what, content) => {
  expect(await partsOf(content)).toEqual([render('emptyReply')]);
});

test('white space around an answer is removed', async () => {
  expect(await partsOf(' \n\n  好的。\n  第二行\n\n ')).toEqual(['好的。\n  第二行']);
});

test('an answer of exactly 2048 bytes is one part, one of 2049 is two', async () => {
  const full = '中'.repeat(682);
  expect(await partsOf(`${full}ab`)).toEqual([`${full}ab`]);
  expect(await partsOf(`${full}abc`)).toHaveLength(2);
});

test('a long answer comes in parts at paragraphs, in order, each once, nothing missing', async () => {
  const content = longAnswer(60_000).trim();
  const parts = await partsOf(content);
  expect(parts.join('\n\n')).toBe(content);
  expect(parts.length).toBeGreaterThan(29);
  for (const part of parts.slice(0, -1)) expect(part).toMatch(/^【第 \d+ 段】.*。$/s);
});

test('without paragraphs it is split at lines, without lines at sentences, without sentences at white space', async () => {
  const lines = Array.from({ length: 200 }, (_, index) => `第${index}行没有标点只有一点内容`);
  expect((await partsOf(lines.join('\n'))).join('\n')).toBe(lines.join('\n'));
  const sentences = Array.from({ length: 200 }, (_, index) => `第${index}句话说完了${'。！？!?'[index % 5]}`);
  const bySentence = await partsOf(sentences.join(''));
  expect(bySentence.join('')).toBe(sentences.join(''));
  for (const part of bySentence) expect(part).toMatch(/[。！？!?]$/);
  const words = Array.from({ length: 900 }, (_, index) => `word${index}`);
  const byWord = await partsOf(words.join(' '));
  expect(byWord.join(' ')).toBe(words.join(' '));
  expect(byWord.length).toBeGreaterThan(2);
});

test('no grapheme is torn apart, unless it is itself too long', async () => {
  const family = '👩‍👩‍👧‍👦';
  const parts = await partsOf(`a${family.repeat(300)}`);
  expect(parts.join('')).toBe(`a${family.repeat(300)}`);
  for (const part of parts) expect(part).toMatch(new RegExp(`^a?(${family})+$`, 'u'));
  const monster = `e${'\u0301'.repeat(2000)}`;
  const pieces = await partsOf(monster);
  expect(pieces.join('')).toBe(monster);
});

test('a fenced code block that is split is closed and opened again', async () => {
  const lines = Array.from(
    { length: 150 },
    (_, index) => `  const value${index} = compute(${index}); // 第 ${index} 行`,
  );
  const parts = await partsOf(`代码:\n\n\`\`\`ts\n${lines.join('\n')}\n\`\`\`\n\n完。`);
  const code = parts.filter((part) => part.includes('const'));
  expect(code.length).toBeGreaterThan(3);
  for (const part of code) {
    expect(part.match(/^```.*$/gm)).toEqual(['```ts', '```']);
    expect(part).toMatch(/```ts\n {2}const/);
    expect(part).toMatch(/;[^;]*行\n```(\n\n完。)?$/);
  }
  expect(code.flatMap((part) => part.match(/^ {2}const .*$/gm) ?? [])).toEqual(lines);
  expect(parts.join('\n')).toMatch(/^代码:\n.*\n完。$/s);
});

test('nobody got anything else', () => users.expectNothingElse());
