import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { MAX_PART_BYTES, type Rest, splitText, takePart } from './split-text.ts';

const numRuns = Number(process.env.PROPERTY_RUNS ?? 500);

const bytesOf = (text: string): number => Buffer.byteLength(text);

/** Finds the parts of a text without fences in it again: where each begins and ends. Fails if anything was lost. */
function locate(text: string, parts: readonly string[]): Array<{ start: number; end: number }> {
  let position = 0;
  return parts.map((part) => {
    const start = text.indexOf(part, position);
    expect(text.slice(position, start).trim()).toBe('');
    expect(start).toBeGreaterThanOrEqual(position);
    position = start + part.length;
    return { start, end: position };
  });
}

describe('where a text is cut', () => {
  test('a text within the limit stays one part, to the byte', () => {
    const text = `${'好'.repeat(682)}ab`;
    expect(bytesOf(text)).toBe(2048);
    expect(splitText(text)).toEqual([text]);
    expect(splitText(`${text}c`)).toHaveLength(2);
    expect(splitText('  short \n')).toEqual(['  short \n']);
  });

  test('a blank text has no parts', () => {
    expect(splitText('')).toEqual([]);
    expect(splitText(' \n'.repeat(5000))).toEqual([]);
  });

  test('white space behind the last byte that fits costs nothing', () => {
    const full = 'x'.repeat(MAX_PART_BYTES);
    expect(splitText(`${full}\n\n`)).toEqual([full]);
    expect(splitText(`${full}\n\ny`)).toEqual([full, 'y']);
    expect(splitText(`${full}    y`)).toEqual([full, 'y']);
  });

  test('a paragraph comes before a line, a sentence and white space', () => {
    expect(splitText('One. Two\n\nthree four\nfive six. seven', 30)).toEqual([
      'One. Two',
      'three four\nfive six. seven',
    ]);
    expect(splitText('a b\r\n\r\nc d\r\ne f g h', 12)).toEqual(
      ['a b', 'c d\r\ne f g h'].flatMap((t) => splitText(t, 12)),
    );
  });

  test('the last of the paragraphs that fit is taken', () => {
    expect(splitText('aaa\n\nbbb\n\nccc ccc', 14)).toEqual(['aaa\n\nbbb', 'ccc ccc']);
  });

  test('a line comes before a sentence', () => {
    expect(splitText('One two.\nThree. Four five', 20)).toEqual(['One two.', 'Three. Four five']);
  });

  test('a sentence comes before white space', () => {
    expect(splitText('One two. Three four five', 20)).toEqual(['One two.', 'Three four five']);
    expect(splitText('第一句。第二句!第三句', 27)).toEqual(['第一句。第二句!', '第三句']);
    expect(splitText('他说“走吧。”然后他就走了', 30)).toEqual(['他说“走吧。”', '然后他就走了']);
  });

  test('a point inside a number, a name or an address ends no sentence', () => {
    expect(splitText('Pi is 3.14159 and a.b', 15)).toEqual(['Pi is 3.14159', 'and a.b']);
    expect(splitText('see http://a.b/c?d=e!f.g', 22)).toEqual(['see', 'http://a.b/c?d=e!f.g']);
    expect(splitText('1. aaaa bbbb cccc', 10)).toEqual(['1. aaaa', 'bbbb cccc']);
  });

  test('without white space a cut falls between graphemes', () => {
    const family = '👨‍👩‍👧‍👦';
    expect(splitText(family.repeat(3), 60)).toEqual([family + family, family]);
    expect(splitText('🇨🇳'.repeat(5), 20)).toEqual(['🇨🇳🇨🇳', '🇨🇳🇨🇳', '🇨🇳']);
    expect(splitText('e\u0301'.repeat(5), 8)).toEqual(['e\u0301e\u0301', 'e\u0301e\u0301', 'e\u0301']);
    expect(splitText('\u1100\u1161\u11a8'.repeat(3), 20)).toEqual([
      '\u1100\u1161\u11a8'.repeat(2),
      '\u1100\u1161\u11a8',
    ]);
  });

  test('a grapheme over the limit is cut between code points', () => {
    const parts = splitText(`e${'\u0301'.repeat(3000)}`);
    expect(parts.join('')).toBe(`e${'\u0301'.repeat(3000)}`);
    expect(parts.map(bytesOf)).toEqual([2047, 2048, 1906]);
  });

  test('lone surrogates become what WeCom would make of them', () => {
    expect(splitText('a\ud83db\udc00')).toEqual(['a\ufffdb\ufffd']);
    expect(splitText('\ud83d'.repeat(1000))).toEqual(['\ufffd'.repeat(682), '\ufffd'.repeat(318)]);
  });

  test('white space longer than a part is left out', () => {
    expect(splitText(`${' '.repeat(5000)}x${'\n'.repeat(5000)}y`)).toEqual(['x', 'y']);
    expect(splitText(`a${' '.repeat(5000)}b`)).toEqual(['a', 'b']);
  });
});

const words = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.constantFrom('a', 'word', '好', '第一', 'é', '👨‍👩‍👧', '🇨🇳', 'e\u0301', '각', 'क्षि', '3.14'),
  },
  { weight: 4, arbitrary: fc.constantFrom(' ', '  ', '\n', '\r\n', '\n\n', '\n \n', '\n  ', '\t', '\u3000') },
  { weight: 2, arbitrary: fc.constantFrom('. ', '。', '!', '?', '？!', '."', '。”', ': ') },
  { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 5 }) },
  { weight: 1, arbitrary: fc.constantFrom('\ud800', '\u0600', '\u200d', '\ufe0f', 'x'.repeat(90), '好'.repeat(40)) },
);
const prose = fc
  .array(words, { maxLength: 120, size: 'max' })
  .map((all) => all.join('').replaceAll(/`{3,}|~{3,}/g, '--'));
const limits = fc.integer({ min: 24, max: 200 });

/** Written apart from the splitter: the last place of each kind at which a first part of at most `limit` bytes may end. */
function placesIn(text: string, limit: number): Array<number | undefined> {
  const last = (pattern: RegExp): number | undefined =>
    [...text.matchAll(pattern)]
      .map((found) => found.index)
      .filter((end) => text.slice(0, end).trim() !== '' && bytesOf(text.slice(0, end)) <= limit)
      .at(-1);
  return [last(/(?<=\S)[^\S\r\n]*(\n|\r(?!\n)|\r\n)\s*?(\n|\r(?!\n))/g), last(/(?<=\S)[^\S\r\n]*[\r\n]/g)];
}

describe('properties of prose', () => {
  test('parts keep the limit, are never blank and lose only white space at the cuts', () => {
    fc.assert(
      fc.property(prose, limits, (text, limit) => {
        const parts = splitText(text, limit);
        for (const part of parts) {
          expect(bytesOf(part)).toBeLessThanOrEqual(limit);
          expect(part.trim()).not.toBe('');
          expect(part.isWellFormed()).toBe(true);
        }
        locate(text.toWellFormed(), parts);
        expect(parts.join('').replaceAll(/\s/g, '')).toBe(text.toWellFormed().replaceAll(/\s/g, ''));
      }),
      { numRuns },
    );
  });

  test('no grapheme that fits is torn', () => {
    fc.assert(
      fc.property(prose, limits, (raw, limit) => {
        const text = raw.toWellFormed();
        const cuts = locate(text, splitText(text, limit)).flatMap(({ start, end }) => [start, end]);
        const torn = [...new Intl.Segmenter('und').segment(text)].filter(
          ({ index, segment }) =>
            bytesOf(segment) <= limit && cuts.some((cut) => cut > index && cut < index + segment.trimEnd().length),
        );
        expect(torn).toEqual([]);
      }),
      { numRuns },
    );
  });

  test('a cut is at the last paragraph that fits, else at the last line', () => {
    fc.assert(
      fc.property(prose, limits, (raw, limit) => {
        let rest: Rest | null = { text: raw.toWellFormed(), fence: null };
        while (rest !== null && rest.text.trim() !== '') {
          const { part, rest: left } = takePart(rest, limit);
          if (left === null) break;
          const expected = placesIn(rest.text, limit).find((place) => place !== undefined);
          if (expected !== undefined) expect(part.length).toBe(expected);
          rest = left;
        }
      }),
      { numRuns },
    );
  });

  test('taking parts one by one, stored in between, gives the same parts', () => {
    fc.assert(
      fc.property(prose, limits, (text, limit) => {
        fc.pre(text.trim() !== '');
        const parts: string[] = [];
        for (let rest: Rest | null = { text, fence: null }; rest !== null; ) {
          const taken: ReturnType<typeof takePart> = JSON.parse(JSON.stringify(takePart(rest, limit)));
          parts.push(taken.part);
          rest = taken.rest;
        }
        expect(parts).toEqual(splitText(text, limit));
      }),
    );
  });
});

describe('speed', () => {
  test.each([
    ['one letter', 'x'],
    ['CJK', '好'],
    ['sentences', '这是一句话。'],
    ['exclamations', '!'],
    ['brackets', '!)'],
    ['words', 'word '],
    ['lines', 'a line of text\n'],
    ['blank lines', 'a\n\n'],
    ['line breaks', '\n'],
    ['spaces', ' '],
    ['families', '👨‍👩‍👧‍👦'],
    ['flags', '🇨🇳'],
    ['joined emoji', '👨‍'],
    ['combining marks', '\u0301'],
    ['jamo', 'ᄀ'],
    ['Devanagari', 'क्'],
    ['back-ticks', '`'],
    ['fences', '```\n'],
    ['blocks', '```ts\na\n```\n'],
    ['lone surrogates', '\ud83d'],
  ])('100 KB of %s are split in well under a second', (_name, unit) => {
    const text = `x${unit.repeat(100_000 / bytesOf(unit))}y`;
    let parts: string[] = [];
    const durations = [1, 2, 3].map(() => {
      const begun = performance.now();
      parts = splitText(text);
      return performance.now() - begun;
    });
    // The quickest of three: other tests run beside this one.
    expect(Math.min(...durations)).toBeLessThan(1_000);
    expect(parts.every((part) => bytesOf(part) <= MAX_PART_BYTES)).toBe(true);
  });
});
