import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { findPart, msgidOf } from './msgid.ts';

const numRuns = Number(process.env.PROPERTY_RUNS ?? 500);
const place = fc.record({ textId: fc.string(), part: fc.nat(30), generation: fc.nat(30) });

test('a msgid is what WeCom takes: at most 32 of 0-9, a-z, A-Z, _ and -', () => {
  fc.assert(
    fc.property(fc.string(), place, (userKey, { textId, part, generation }) => {
      expect(msgidOf(userKey, textId, part, generation)).toMatch(/^[0-9a-zA-Z_-]{32}$/);
    }),
    { numRuns },
  );
});

test('the same part has the same msgid every time; user, text, part and generation each make another', () => {
  const msgid = msgidOf('u', 't', 1, 1);
  expect(msgidOf('u', 't', 1, 1)).toBe(msgid);
  const others = [msgidOf('v', 't', 1, 1), msgidOf('u', 's', 1, 1), msgidOf('u', 't', 2, 1), msgidOf('u', 't', 1, 2)];
  expect(new Set([msgid, ...others]).size).toBe(5);
});

test('part and generation are found again by the msgid, however many generations there were', () => {
  fc.assert(
    fc.property(place, ({ textId, part, generation }) => {
      const msgid = msgidOf('u', textId, part, generation);
      expect(findPart('u', textId, 31, 31, msgid)).toEqual({ part, generation });
      expect(findPart('another', textId, 31, 31, msgid)).toBeNull();
      expect(findPart('u', textId, part, 31, msgid)).toBeNull();
      expect(findPart('u', textId, 31, generation, msgid)).toBeNull();
    }),
    { numRuns: Math.min(numRuns, 100) },
  );
});
