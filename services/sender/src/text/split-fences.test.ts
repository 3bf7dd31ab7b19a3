import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { splitText, takePart } from './split-text.ts';

const numRuns = Number(process.env.PROPERTY_RUNS ?? 500);

const bytesOf = (text: string): number => Buffer.byteLength(text);
const lines = (count: number, of = 'line'): string[] => Array.from({ length: count }, (_, i) => `${of} ${i}`);

interface Read {
  /** Every line that isn't blank, behind the info string of its block. */
  content: string[];
  isOpen: boolean;
  emptyBlocks: number;
}

/** Reads fenced blocks as Markdown does; written apart from the splitter's own reading. */
function read(text: string): Read {
  const content: string[] = [];
  let open: { mark: string; info: string; lines: number } | null = null;
  let emptyBlocks = 0;
  for (const line of text.split(/\r?\n/)) {
    const bare = line.replace(/^ {1,3}/, '');
    const mark: string = /^(`+|~+)/.exec(bare)?.[0] ?? '';
    if (open !== null && mark.length >= open.mark.length && mark[0] === open.mark[0] && bare.trim() === mark) {
      if (open.lines === 0) emptyBlocks++;
      open = null;
    } else if (open === null && mark.length >= 3 && !(mark[0] === '`' && bare.slice(mark.length).includes('`'))) {
      open = { mark, info: bare.slice(mark.length).trim(), lines: 0 };
    } else if (line.trim() !== '') {
      content.push(open === null ? `prose: ${line}` : `${open.info}: ${line}`);
      if (open !== null) open.lines++;
    }
  }
  return { content, isOpen: open !== null, emptyBlocks };
}

test('a block that is split is closed and reopened with its info string', () => {
  const parts = splitText(['```ts', ...lines(12), '```'].join('\n'), 60);
  expect(parts).toEqual([
    '```ts\nline 0\nline 1\nline 2\nline 3\nline 4\nline 5\nline 6\n```',
    '```ts\nline 7\nline 8\nline 9\nline 10\nline 11\n```',
  ]);
});

test('tildes, longer runs and indentation are kept, and shorter fences inside are content', () => {
  const parts = splitText(['  ~~~~md x', '~~~', ...lines(8), '~~~', '```', '  ~~~~~ '].join('\n'), 60);
  for (const part of parts) {
    expect(part.startsWith('  ~~~~md x\n')).toBe(true);
    expect(part.trimEnd()).toMatch(/\n {2}~{4,5}$/);
  }
  expect(parts.flatMap((part) => read(part).content)).toEqual(
    ['~~~', ...lines(8), '~~~', '```'].map((line) => `md x: ${line}`),
  );
});

test('a block that fits into a part of its own is not split', () => {
  const block = ['```', ...lines(5), '', 'last', '```'].join('\n');
  expect(splitText(`${'intro '.repeat(8)}\n${block}\nend`, 80)).toEqual(['intro '.repeat(8).trim(), `${block}\nend`]);
});

test('a block too long for one part is cut at its blank lines', () => {
  const text = ['```', ...lines(4), '', ...lines(4), '', ...lines(4), '```'].join('\n');
  expect(splitText(text, 60).map((part) => read(part).content.length)).toEqual([4, 4, 4]);
});

test('a block is not cut at its blank line to make room for what follows it', () => {
  const block = '```\naaaa\n\nbbbb\n```';
  expect(splitText(`${block}\nccc ccc\nddd ddd`, 30)).toEqual([`${block}\nccc ccc`, 'ddd ddd']);
});

test('the original closing fence takes the place of ours', () => {
  const parts = splitText('```\naaaaaaaaaa\nbbbbbbbbbb\n```\n\n\nafter', 30);
  expect(parts).toEqual(['```\naaaaaaaaaa\nbbbbbbbbbb\n```', 'after']);
  expect(splitText('```\naaaaaaaaaa\nbbbbbbbbbb\n````````', 30)).toEqual(['```\naaaaaaaaaa\nbbbbbbbbbb\n```']);
});

test('no cut right behind an opening fence', () => {
  expect(splitText(`intro\n\`\`\`ts\n${'x'.repeat(60)}\n\`\`\``, 40)).toEqual([
    'intro',
    `\`\`\`ts\n${'x'.repeat(30)}\n\`\`\``,
    `\`\`\`ts\n${'x'.repeat(30)}\n\`\`\``,
  ]);
});

test('a block its author left open is closed where we reopened it', () => {
  const parts = splitText(['```py', ...lines(12)].join('\n'), 60);
  for (const part of parts) expect(read(part)).toMatchObject({ isOpen: false, emptyBlocks: 0 });
  expect(splitText('```py\nshort')).toEqual(['```py\nshort']);
});

test('inline code at the start of a line and rulers open nothing', () => {
  for (const first of ['```not``` a fence', '`'.repeat(60), '    ```']) {
    const parts = splitText([first, ...lines(20)].join('\n'), 80);
    expect(parts.join('\n')).toBe([first, ...lines(20)].join('\n'));
  }
});

test('a long info string is shortened when the block is reopened', () => {
  const info = `ts ${'标题'.repeat(30)}`;
  const parts = splitText([`\`\`\`${info}`, ...lines(60), '```'].join('\n'), 300);
  for (const part of parts) expect(bytesOf(part)).toBeLessThanOrEqual(300);
  const [, second = ''] = parts;
  expect(bytesOf(second.split('\n')[0] ?? '')).toBeLessThanOrEqual(67);
  expect(second.startsWith('```ts 标题')).toBe(true);
  expect(parts.flatMap((part) => read(part).content).map((line) => line.replace(/^.*: /, ''))).toEqual(lines(60));
});

test('an opening fence longer than a part still ends', () => {
  const parts = splitText(`\`\`\`${'i'.repeat(5000)}\ncode\n\`\`\`\nafter`);
  for (const part of parts) {
    expect(bytesOf(part)).toBeLessThanOrEqual(2048);
    expect(read(part).isOpen).toBe(false);
  }
  expect(parts.join('').split('i').length).toBeGreaterThan(5000);
  expect(parts.at(-1)).toMatch(/code\n```\nafter$/);
});

test('a stored rest with a fence of its own making does no harm', () => {
  expect(takePart({ text: 'abc def', fence: 'no fence' }, 200)).toEqual({ part: 'abc def', rest: null });
  expect(takePart({ text: 'abc def', fence: `\`\`\`${'x'.repeat(60)}` }, 20).part).toBe('abc def');
});

test('a cut inside a line does not make a fence of what stood within the line', () => {
  const parts = splitText(`${'word '.repeat(10)}\`\`\`ts ${'word '.repeat(10)}`, 55);
  expect(parts.map((part) => read(part).isOpen)).toEqual([false, false]);
  expect(parts.join(' ')).not.toMatch(/\n/);
});

const codeLine = fc.constantFrom('a = 1', '  b("x")', 'c // 好', '~~', '`x`', '# d', '    e', '} else {', '- 1.');
const proseLine = fc.constantFrom('Some words.', '一句话。', 'A list:', '- item', '1. first', '`inline`', '> quote');
const block = fc
  .record({
    mark: fc.constantFrom('```', '````', '~~~', '~~~~~'),
    indent: fc.constantFrom('', '', ' ', '   '),
    info: fc.constantFrom('', 'ts', 'js title="a b"', ' python '),
    body: fc.array(fc.oneof({ weight: 5, arbitrary: codeLine }, fc.constant('')), {
      minLength: 1,
      maxLength: 40,
      size: 'max',
    }),
  })
  .map(({ mark, indent, info, body }) => [`${indent}${mark}${info}`, 'first', ...body, `${indent}${mark}`].join('\n'));
const paragraph = fc.array(proseLine, { minLength: 1, maxLength: 8, size: 'max' }).map((all) => all.join('\n'));
const markdown = fc
  .array(fc.tuple(fc.oneof(block, paragraph), fc.constantFrom('\n', '\n\n', '\n\n\n')), {
    minLength: 1,
    maxLength: 8,
    size: 'max',
  })
  .map((all) => all.flat().join('').trimEnd())
  .chain((text) => fc.constantFrom(text, text.replaceAll('\n', '\r\n')));

test('every part reads on its own, and together they read like the text', () => {
  fc.assert(
    fc.property(markdown, fc.integer({ min: 100, max: 400 }), (text, limit) => {
      const parts = splitText(text, limit);
      const whole = read(text);
      expect(whole).toMatchObject({ isOpen: false, emptyBlocks: 0 });
      for (const part of parts) {
        expect(bytesOf(part)).toBeLessThanOrEqual(limit);
        expect(read(part)).toMatchObject({ isOpen: false, emptyBlocks: 0 });
      }
      expect(parts.flatMap((part) => read(part).content)).toEqual(whole.content);
    }),
    { numRuns },
  );
});

test('nothing is lost but white space, whatever the text', () => {
  const anything = fc
    .array(
      fc.constantFrom(
        '```',
        '~~~~',
        '`',
        '\n',
        '\n\n',
        ' ',
        'ts',
        'word',
        '好。',
        'x'.repeat(50),
        '👨‍👩‍👧',
        '   ',
        '\r\n',
        '`'.repeat(40),
      ),
      {
        maxLength: 80,
        size: 'max',
      },
    )
    .map((all) => all.join(''));
  const visible = (text: string): string => text.replaceAll(/[\s`~]/g, '');
  fc.assert(
    fc.property(anything, fc.integer({ min: 200, max: 400 }), (text, limit) => {
      const parts = splitText(text, limit);
      for (const part of parts) {
        expect(bytesOf(part)).toBeLessThanOrEqual(limit);
        expect(part.trim()).not.toBe('');
      }
      // What we add are fences with their info strings; everything else is there, in its order.
      let found = -1;
      const sent = visible(parts.join(''));
      for (const unit of visible(text)) {
        found = sent.indexOf(unit, found + 1);
        expect(found).toBeGreaterThanOrEqual(0);
      }
    }),
    { numRuns },
  );
});
