import { expect, test } from '@jest/globals';
import { texts } from '@pipeline/texts';
import fc from 'fast-check';
import { cleanText } from './clean-text.ts';

const numRuns = Number(process.env.PROPERTY_RUNS ?? 500);

test.each([
  ['boom at /path/file.js:10:5', 'boom'],
  ['boom at fn (/path/file.js:10:5) again', 'boom again'],
  ['boom at fn(/path/file.js:10:5) again', 'boom again'],
  ['boom at (/path/file.js:10:5) again', 'boom again'],
  ['boom\n    at async Foo.bar (file:///x.js:1:2)', 'boom'],
  ['boom\n    at new Promise.Thing (node:internal/x:12:34)', 'boom'],
  ['boom\n    at async Request.get url [as url] (/a/b.ts:1:2)\nafter', 'boom\nafter'],
  ['boom\n    at Object.<anonymous> [as answer] (/a/(group)/b.ts:1:2)\nafter', 'boom\nafter'],
  ['boom\r\n\tat http://host:8080/x.js:3:4\r\nafter', 'boom\r\nafter'],
  ['boom at C:\\work\\x.js:3:4.', 'boom.'],
  ['boom at <anonymous>:1:2, then', 'boom, then'],
  ['出错了 at /app/index.js:10:5,请重试', '出错了,请重试'],
])('%j becomes %j', (text, cleaned) => {
  expect(cleanText(text)).toBe(cleaned);
});

test.each([
  'meet me at 10:30',
  'meet me at 10:30:00, the train leaves at 2026-01-31T10:45:00Z',
  'look at http://host:8080/x',
  'look at the bar (see page 10:5)',
  'that:10:5 is not a frame',
  'what:1:2',
  'at /path/file.js:10:5 is where it begins',
  'at fn (/path/file.js:10)',
])('%j stays as it is', (text) => {
  expect(cleanText(text)).toBe(text);
});

test('a whole stack trace leaves only its message', () => {
  const trace = [
    'Error: connect ECONNREFUSED',
    '    at TCPConnectWrap.afterConnect [as oncomplete] (node:net:1637:16)',
    '    at async Server.<anonymous> (file:///app/src/server.ts:10:3)',
    '    at /app/src/main.ts:5:7',
    '请稍后再试',
  ];
  expect(cleanText(trace.join('\n'))).toBe('Error: connect ECONNREFUSED\n请稍后再试');
});

test('what is left empty becomes the agreed text', () => {
  expect(cleanText('')).toBe(texts.emptyReply);
  expect(cleanText(' \n\t ')).toBe(texts.emptyReply);
  expect(cleanText('\n at f (/a.js:1:2)\n at /b.js:3:4\n')).toBe(texts.emptyReply);
});

test('frames that only appear once another is gone go too', () => {
  expect(cleanText('x at at /a.js:1:2 /b.js:3:4 y')).toBe('x y');
  expect(cleanText('x at fn at /a.js:1:2 (/b.js:3:4) y')).toBe('x y');
  expect(cleanText('x a at /q.js:1:2t /b.js:3:4 y')).toBe('x y');
});

const pieces = fc.constantFrom(
  ' ',
  '\n',
  '\t',
  'at',
  'a',
  't',
  '/x.js',
  ':',
  '1',
  ':2:3',
  '(',
  ')',
  'fn',
  'async',
  '[as',
  ']',
  '好',
  '12:30:45',
);
const fragments = fc.array(fc.oneof(pieces, fc.string()), { maxLength: 40, size: 'max' }).map((all) => all.join(''));

test('cleaning a cleaned text changes nothing', () => {
  fc.assert(
    fc.property(fragments, (text) => {
      const once = cleanText(text);
      expect(cleanText(once)).toBe(once);
    }),
    { numRuns },
  );
});

test('a text without a frame is only trimmed', () => {
  fc.assert(
    fc.property(fragments, (text) => {
      fc.pre(!/\sat\s.*:\d+:\d/s.test(text));
      expect(cleanText(text)).toBe(text.trim() || texts.emptyReply);
    }),
    { numRuns },
  );
});

test('a frame of the plain form always goes', () => {
  fc.assert(
    fc.property(fc.stringMatching(/^[a-z/.]{1,20}$/), fc.nat(9999), fc.nat(999), (file, line, column) => {
      expect(cleanText(`前 at ${file}:${line}:${column} 后`)).toBe('前 后');
      expect(cleanText(`前\n    at run (${file}:${line}:${column})\n后`)).toBe('前\n后');
    }),
  );
});

test.each([
  ['spaces', ' '],
  ['at', 'at '],
  ['spaced at', '   at   '],
  ['colons', ':1'],
  ['open frames', ' at f ('],
  ['bare colons', ' at :'],
  ['frames within frames', ' at at /a:1:2'],
  ['growing words', ' at /a:1:2x'],
  ['digits', ' at a:1'],
  ['one huge word', 'x'],
])('256 KiB of %s are cleaned quickly', (_name, unit) => {
  const size = 256 * 1024;
  for (const text of [
    unit.repeat(size / unit.length),
    ` at ${unit.repeat(size / unit.length)}:1:2`,
    ` at${' '.repeat(9)}q`.repeat(9) + unit.repeat(size / unit.length) + ' b:1:2'.repeat(9000),
  ]) {
    const begun = performance.now();
    cleanText(text);
    expect(performance.now() - begun).toBeLessThan(10_000);
  }
});
