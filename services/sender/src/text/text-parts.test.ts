import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { splitText } from './split-text.ts';
import { resplit, toParts } from './text-parts.ts';

const numRuns = Number(process.env.PROPERTY_RUNS ?? 500);
const words = fc
  .array(fc.constantFrom('字', '好的。', 'word ', '\n', '\n\n', '👨‍👩‍👧‍👦', '```ts\ncode\n```\n', '   ', '```\n'), {
    minLength: 1,
    maxLength: 900,
    size: 'max',
  })
  .map((pieces) => pieces.join('').trim())
  .filter((text) => text !== '');
const partsOf = (source: string) => toParts(source, { text: source, fence: null });
/** What a reader sees, fences aside: they are closed and reopened at a cut. */
const readable = (text: string) => text.replace(/```(?:ts)?/g, '').replace(/\s+/g, '');

test('a text’s parts are those that it is split into, each with its place', () => {
  fc.assert(
    fc.property(words, (source) => {
      const parts = partsOf(source);
      expect(parts.map(({ content }) => content)).toEqual(splitText(source));
      expect(parts[0]).toMatchObject({ at: 0, fence: null });
      for (const [i, { at }] of parts.entries()) expect(at).toBeGreaterThanOrEqual(parts[i - 1]?.at ?? 0);
    }),
    { numRuns },
  );
});

test('from any part on, a text is split again as it was', () => {
  fc.assert(
    fc.property(words, fc.nat(5), (source, next) => {
      const parts = partsOf(source);
      expect(resplit(source, parts, next, 2048)).toEqual(parts);
    }),
    { numRuns },
  );
});

test('splitting anew keeps what was sent, shortens the next part and loses nothing', () => {
  fc.assert(
    fc.property(words, fc.nat(3), fc.integer({ min: 500, max: 2048 }), (source, next, bytes) => {
      const parts = partsOf(source);
      const roomy = resplit(source, parts, next, bytes);
      expect(roomy.slice(0, next)).toEqual(parts.slice(0, next));
      expect(Buffer.byteLength(roomy[next]?.content ?? '')).toBeLessThanOrEqual(bytes);
      for (const { content } of roomy) expect(Buffer.byteLength(content)).toBeLessThanOrEqual(2048);
      const all = readable(roomy.map(({ content }) => content).join('\n'));
      expect(all).toBe(readable(source));
    }),
    { numRuns },
  );
});

test('a text without that part stays as it is', () => {
  const parts = partsOf('short');
  expect(resplit('short', parts, 1, 100)).toEqual(parts);
});
