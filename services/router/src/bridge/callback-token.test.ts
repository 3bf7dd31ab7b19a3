import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { signCallbackToken, verifyCallbackToken } from './callback-token.ts';

const numRuns = Number(process.env.PROPERTY_RUNS ?? 500);
const [oldKey, newKey, otherKey] = ['o'.repeat(32), 'n'.repeat(32), 'x'.repeat(32)];
const taskId = 'wkA:wmB:msg-1';

describe('a callback token', () => {
  test('names the task that it was made for, and fits into a URL as it is', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (id) => {
        const token = signCallbackToken(id.toWellFormed(), [newKey]);
        expect(verifyCallbackToken(token, [newKey])).toBe(id.toWellFormed());
        expect(encodeURIComponent(token)).toBe(token);
      }),
      { numRuns },
    );
  });

  test('holds while its key is known, whichever key signs by now', () => {
    const token = signCallbackToken(taskId, [oldKey]);
    expect(verifyCallbackToken(token, [newKey, oldKey])).toBe(taskId);
    expect(verifyCallbackToken(token, [newKey])).toBeNull();
    expect(verifyCallbackToken(signCallbackToken(taskId, [newKey, oldKey]), [oldKey])).toBeNull();
  });

  test('can’t be moved to another task', () => {
    const [, mac] = signCallbackToken(taskId, [newKey]).split('.');
    const [other] = signCallbackToken('wkA:wmB:msg-2', [newKey]).split('.');
    expect(verifyCallbackToken(`${other}.${mac}`, [newKey])).toBeNull();
  });

  test('is worth nothing after any change to what it says', () => {
    const token = signCallbackToken(taskId, [newKey]);
    fc.assert(
      fc.property(fc.nat(token.length - 1), fc.constantFrom(...'AZaz09-_.'), (place, character) => {
        const forged = token.slice(0, place) + character + token.slice(place + 1);
        // The last character of base64 may carry bits that nobody reads: then it is the same token.
        const bytesOf = (text: string) => text.split('.').map((part) => Buffer.from(part, 'base64url').toString('hex'));
        const isSame = bytesOf(forged).join('.') === bytesOf(token).join('.');
        expect(verifyCallbackToken(forged, [newKey])).toBe(isSame ? taskId : null);
      }),
      { numRuns },
    );
  });

  test.each([
    '',
    '.',
    '..',
    'abc',
    `${Buffer.from(taskId).toString('base64url')}.`,
    `${Buffer.from(taskId).toString('base64url')}`,
    `${signCallbackToken(taskId, [otherKey])}`,
    `${signCallbackToken(taskId, [newKey])}.x`,
    `${signCallbackToken(taskId, [newKey]).slice(0, -8)}`,
  ])('%j is none', (token) => {
    expect(verifyCallbackToken(token, [newKey, oldKey])).toBeNull();
  });

  test('without keys nothing is accepted', () => {
    expect(verifyCallbackToken(signCallbackToken(taskId, []), [])).toBeNull();
  });
});
