import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { ConfigError } from '@pipeline/runtime';
import fc from 'fast-check';
import { createCallbackCrypto } from './callback-crypto.ts';

const numRuns = Number(process.env.PROPERTY_RUNS ?? 500);

/** The sample of Tencent's documentation (path/90968). Its key has bits to spare, its padding is 30 bytes. */
const official = {
  settings: {
    token: 'QDG6eK',
    encodingAesKey: 'jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C',
    receiveId: 'wx5823bf96d3bd56c7',
  },
  callback: {
    signature: '477715d11cdb4164915debcba66cb864d751f3e6',
    timestamp: '1409659813',
    nonce: '1372623149',
    encrypted:
      'RypEvHKD8QQKFhvQ6QleEB4J58tiPdvo+rtK1I9qca6aM/wvqnLSV5zEPeusUiX5L5X/0lWfrf0QADHHhGd3QczcdCUpj911L3vg3W/sYYvuJTs3TUUkSUXxaccAS0qhxchrRYt66wiSpGLYL42aM6A8dTT+6k4aSknmPj48kzJs8qLjvd4Xgpue06DOdnLxAUHzM6+kDZ+HMZfJYuR+LtwGc2hgf5gsijff0ekUNXZiqATP7PF5mZxZ3Izoun1s4zG4LUMnvw2r+KqCKIw+3IQH03v+BCA9nMELNqbSf6tiWSrXJB3LAVGUcallcrw8V2t9EL4EhzJWrQUax5wLVMNS0+rUPA3k22Ncx4XXZS9o0MBH27Bo6BpNelZpS+/uh9KsNlY6bHCmJU9p8g7m3fVKn28H3KDYA5Pl/T8Z1ptDAVe0lXdQ2YoyyH2uyPIGHBZZIs2pDBS8R07+qN+E7Q==',
  },
};

const encodingAesKey = randomBytes(32).toString('base64').slice(0, 43);
const crypto = createCallbackCrypto({ token: 'tok', encodingAesKey, receiveId: 'corp' });

function seal(message: string) {
  const unsigned = { timestamp: '1', nonce: 'n', encrypted: crypto.encrypt(message) };
  return { ...unsigned, signature: crypto.sign(unsigned) };
}

describe("Tencent's own sample", () => {
  const theirs = createCallbackCrypto(official.settings);

  test('its message is signed and readable', () => {
    expect(theirs.isSigned(official.callback)).toBe(true);
    expect(theirs.open(official.callback)).toMatch(/^<xml>.*<!\[CDATA\[hello\]\]>.*<\/xml>$/s);
  });

  test('its echo is signed and readable', () => {
    const echo = theirs.open({
      signature: '5c45ff5e21c57e6ad56bac8758b79b1d9ac89fd3',
      timestamp: '1409659589',
      nonce: '263014780',
      encrypted: 'P9nAzCzyDtyTWESHep1vC5X9xho/qYX3Zpb4yKa9SKld1DsH3Iyt3tP3zNdtp+4RPcs8TgAE7OaBO+FZXvnaqQ==',
    });
    expect(echo).toMatch(/^\d+$/);
  });
});

test('what another implementation has signed and encrypted is read: any padding, any text', () => {
  const fixture = new URL('../test/wechatpy-fixture.json', import.meta.url);
  const { settings, callbacks } = JSON.parse(readFileSync(fixture, 'utf8'));
  const theirs = createCallbackCrypto(settings);
  expect(callbacks.length).toBeGreaterThan(32);
  for (const { message, ...callback } of callbacks) {
    expect(theirs.open(callback)).toBe(message);
    expect(theirs.sign(callback)).toBe(callback.signature);
  }
});

test('every padding from 1 to 32 bytes is read', () => {
  const lengths = new Set<number>();
  for (let length = 0; length < 64; length++) {
    const message = 'x'.repeat(length);
    lengths.add(32 - ((16 + 4 + length + 'corp'.length) % 32));
    expect(crypto.open(seal(message))).toBe(message);
  }
  expect(lengths.size).toBe(32);
});

test('whatever is encrypted comes back', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), (message) => {
      expect(crypto.decrypt(crypto.encrypt(message))).toBe(message);
    }),
  );
});

test('the same message never looks the same twice', () => {
  expect(crypto.encrypt('same')).not.toBe(crypto.encrypt('same'));
});

test.each(['signature', 'timestamp', 'nonce', 'encrypted'] as const)('a changed %s is not accepted', (field) => {
  const sealed = seal('message');
  const changed = sealed[field].startsWith('a') ? 'b' : 'a';
  const tampered = { ...sealed, [field]: changed + sealed[field].slice(1) };
  expect(() => crypto.open(tampered)).toThrow(expect.objectContaining({ code: 'callback-signature-invalid' }));
  expect(() => crypto.open({ ...sealed, [field]: '' })).toThrow(/signature/);
  expect(() => crypto.open({ ...sealed, [field]: '好' })).toThrow(/signature/);
});

test('garbage under a good signature is refused with a code, never with a crash', () => {
  const refused = expect.objectContaining({ code: expect.stringMatching(/^callback-(unreadable|wrong-receiver)$/) });
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      expect(() => crypto.decrypt(Buffer.from(bytes).toString('base64'))).toThrow(refused);
    }),
    { numRuns },
  );
  expect(() => crypto.decrypt('')).toThrow(refused);
});

test('a message for somebody else is refused', () => {
  for (const receiveId of ['', 'cor', 'corpx', 'other']) {
    const other = createCallbackCrypto({ token: 'tok', encodingAesKey, receiveId });
    expect(() => other.decrypt(crypto.encrypt('m'))).toThrow(
      expect.objectContaining({ code: 'callback-wrong-receiver' }),
    );
  }
});

test('a key that is none is a wrong setting', () => {
  for (const key of ['', 'short', 'x'.repeat(42), `${'x'.repeat(42)}!`, 'x'.repeat(44)])
    expect(() => createCallbackCrypto({ token: 't', encodingAesKey: key, receiveId: '' })).toThrow(ConfigError);
});
