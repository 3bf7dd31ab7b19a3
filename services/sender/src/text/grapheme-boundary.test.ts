import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { graphemeBoundaryAtOrBefore } from './grapheme-boundary.ts';

const numRuns = Number(process.env.PROPERTY_RUNS ?? 500);

const pieces = fc.oneof(
  fc.constantFrom(
    '👨‍👩‍👧',
    '🇨🇳',
    '🇨',
    '👍🏽',
    'é',
    'e\u0301',
    '\u0301',
    '\u200d',
    '각',
    'ᄀ',
    'ᅡ',
    'क्षि',
    '\u094d',
    '\u0600',
    '\r',
    '\n',
    '\r\n',
  ),
  fc.constantFrom('a', ' ', '好', '。', 'か', '\u3099', '〰️', '1️⃣', '\ufe0f', '가', '🏴󠁧󠁢󠁥󠁮󠁧󠁿', '©', '\u{1f468}'),
);

test('it agrees with segmenting the whole text', () => {
  fc.assert(
    fc.property(fc.array(pieces, { maxLength: 25 }), (all) => {
      const text = all.join('');
      const starts = [...new Intl.Segmenter('und').segment(text)].map(({ index }) => index);
      starts.push(text.length);
      for (let position = 0; position <= text.length; position++) {
        const expected = starts.filter((start) => start <= position).at(-1);
        expect(graphemeBoundaryAtOrBefore(text, position)).toBe(expected);
      }
    }),
    { numRuns },
  );
});
