// WeCom simulator: the callback's signature and encryption, written from the protocol, apart from the product's own.
import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto';

const BLOCK_BYTES = 32;
const PREFIX_BYTES = 16;
const LENGTH_BYTES = 4;

/** SHA-1 in lower-case hex over the four values, sorted and joined. */
export function sign(token: string, timestamp: string, nonce: string, encrypted: string): string {
  const joined = [token, timestamp, nonce, encrypted].sort().join('');
  return createHash('sha1').update(joined).digest('hex');
}

/** The 32 bytes behind a 43-character EncodingAESKey; spare bits in its last character are ignored. */
export function decodeKey(encodingAesKey: string): Buffer {
  const key = Buffer.from(`${encodingAesKey}=`, 'base64');
  if (encodingAesKey.length !== 43 || key.length !== 32) throw new Error('an EncodingAESKey has 43 base64 characters');
  return key;
}

/** AES-256-CBC over 16 random bytes, the length, the message and the receiver, padded to 32 bytes. */
export function encrypt(encodingAesKey: string, message: string, receiveId: string): string {
  const key = decodeKey(encodingAesKey);
  const body = Buffer.from(message);
  const length = Buffer.alloc(LENGTH_BYTES);
  length.writeUInt32BE(body.length);
  const plain = Buffer.concat([randomBytes(PREFIX_BYTES), length, body, Buffer.from(receiveId)]);
  const padBytes = BLOCK_BYTES - (plain.length % BLOCK_BYTES);
  const cipher = createCipheriv('aes-256-cbc', key, key.subarray(0, 16)).setAutoPadding(false);
  const padded = Buffer.concat([plain, Buffer.alloc(padBytes, padBytes)]);
  return Buffer.concat([cipher.update(padded), cipher.final()]).toString('base64');
}

/** The message and its receiver; throws when the padding makes no sense. */
export function decrypt(encodingAesKey: string, encrypted: string): { message: string; receiveId: string } {
  const key = decodeKey(encodingAesKey);
  const decipher = createDecipheriv('aes-256-cbc', key, key.subarray(0, 16)).setAutoPadding(false);
  const padded = Buffer.concat([decipher.update(Buffer.from(encrypted, 'base64')), decipher.final()]);
  const padBytes = padded[padded.length - 1] ?? 0;
  if (padBytes < 1 || padBytes > BLOCK_BYTES) throw new Error('wrong padding');
  const plain = padded.subarray(0, padded.length - padBytes);
  const start = PREFIX_BYTES + LENGTH_BYTES;
  const end = start + plain.readUInt32BE(PREFIX_BYTES);
  return { message: plain.toString('utf8', start, end), receiveId: plain.toString('utf8', end) };
}
