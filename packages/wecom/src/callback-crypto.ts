// WeCom's callback: is it from WeCom, and what does it say. Scheme: developer.work.weixin.qq.com/document/path/90968
import { createCipheriv, createDecipheriv, createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { ConfigError, PermanentError } from '@pipeline/runtime';

export interface CallbackCryptoOptions {
  /** The Token of the callback settings: it signs. Not the access token, nor the Token inside a notification. */
  token: string;
  /** The EncodingAESKey of the callback settings: 43 characters. */
  encodingAesKey: string;
  /** Who a message must be for: the corp id, for an app of one's own. */
  receiveId: string;
}

export interface SignedCallback {
  /** The query's `msg_signature`, `timestamp` and `nonce`, and `Encrypt` of the body (or `echostr`), URL-decoded. */
  signature: string;
  timestamp: string;
  nonce: string;
  encrypted: string;
}

export interface CallbackCrypto {
  sign(signed: Omit<SignedCallback, 'signature'>): string;
  /** Compares in constant time. */
  isSigned(callback: SignedCallback): boolean;
  /** @throws PermanentError `callback-unreadable` or `callback-wrong-receiver` */
  decrypt(encrypted: string): string;
  encrypt(message: string): string;
  /** Checks the signature, then decrypts. @throws PermanentError also `callback-signature-invalid` */
  open(callback: SignedCallback): string;
}

const BLOCK_BYTES = 32;
const RANDOM_BYTES = 16;
const HEADER_BYTES = RANDOM_BYTES + 4;
const AES = 'aes-256-cbc';

/** Real keys carry bits beyond their 32 bytes, which strict Base64 decoders refuse; Node's doesn't. */
function decodeKey(encodingAesKey: string): Buffer {
  const key = /^[0-9A-Za-z+/]{43}=?$/.test(encodingAesKey) ? Buffer.from(encodingAesKey, 'base64') : null;
  if (key?.length !== 32) throw new ConfigError('EncodingAESKey of the WeCom callback must have 43 characters');
  return key;
}

const unreadable = (detail: string): PermanentError =>
  new PermanentError('callback-unreadable', `a WeCom callback can't be decrypted: ${detail}`);

/** PKCS#7 to blocks of 32 bytes, twice those of AES: the usual unpadding refuses 17 to 32. */
function unpad(padded: Buffer): Buffer {
  const pad = padded.at(-1) ?? 0;
  if (pad < 1 || pad > BLOCK_BYTES || pad > padded.length) throw unreadable('padding');
  return padded.subarray(0, padded.length - pad);
}

/** @throws ConfigError for a key that isn't one. */
export function createCallbackCrypto({ token, encodingAesKey, receiveId }: CallbackCryptoOptions): CallbackCrypto {
  const key = decodeKey(encodingAesKey);
  const iv = key.subarray(0, 16);
  const receiver = Buffer.from(receiveId);

  const sign: CallbackCrypto['sign'] = ({ timestamp, nonce, encrypted }) =>
    createHash('sha1').update([token, timestamp, nonce, encrypted].sort().join('')).digest('hex');

  const isSigned: CallbackCrypto['isSigned'] = ({ signature, ...signed }) => {
    const expected = Buffer.from(sign(signed));
    const given = Buffer.from(signature);
    return given.length === expected.length && timingSafeEqual(given, expected);
  };

  const decrypt: CallbackCrypto['decrypt'] = (encrypted) => {
    const ciphertext = Buffer.from(encrypted, 'base64');
    if (ciphertext.length === 0 || ciphertext.length % 16 !== 0) throw unreadable('length');
    const decipher = createDecipheriv(AES, key, iv).setAutoPadding(false);
    const plain = unpad(Buffer.concat([decipher.update(ciphertext), decipher.final()]));
    if (plain.length < HEADER_BYTES) throw unreadable('too short');
    const end = HEADER_BYTES + plain.readUInt32BE(RANDOM_BYTES);
    if (end > plain.length) throw unreadable('length of the message');
    const isForUs = plain.subarray(end).equals(receiver);
    if (!isForUs) throw new PermanentError('callback-wrong-receiver', 'a WeCom callback is for another receiver');
    return plain.subarray(HEADER_BYTES, end).toString();
  };

  return {
    sign,
    isSigned,
    decrypt,
    encrypt(message) {
      const text = Buffer.from(message);
      const length = Buffer.alloc(4);
      length.writeUInt32BE(text.length);
      const plain = Buffer.concat([randomBytes(RANDOM_BYTES), length, text, receiver]);
      const pad = BLOCK_BYTES - (plain.length % BLOCK_BYTES);
      const cipher = createCipheriv(AES, key, iv).setAutoPadding(false);
      return Buffer.concat([cipher.update(plain), cipher.update(Buffer.alloc(pad, pad)), cipher.final()]).toString(
        'base64',
      );
    },
    open(callback) {
      if (!isSigned(callback))
        throw new PermanentError('callback-signature-invalid', 'the signature of a WeCom callback is wrong');
      return decrypt(callback.encrypted);
    },
  };
}
