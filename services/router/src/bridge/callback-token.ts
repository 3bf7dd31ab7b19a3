// The key to one task's callback: names the task and proves, by an HMAC, that we made it.
import { createHmac, timingSafeEqual } from 'node:crypto';

/** Names a task: the user and the message that it is about. */
export const taskId = (userKey: string, msgId: string) => `${userKey}:${msgId}`;

/** `<base64url(taskId)>.<base64url(HMAC-SHA256)>`, signed with the first key. */
export function signCallbackToken(taskId: string, keys: readonly string[]): string {
  const [signingKey = ''] = keys;
  return `${Buffer.from(taskId).toString('base64url')}.${mac(taskId, signingKey).toString('base64url')}`;
}

/** The task that a token is for, or null if none of the keys made it. Compared in constant time. */
export function verifyCallbackToken(token: string, keys: readonly string[]): string | null {
  const [encodedTaskId = '', encodedMac = '', ...rest] = token.split('.');
  if (rest.length > 0) return null;
  const taskId = Buffer.from(encodedTaskId, 'base64url').toString();
  const given = Buffer.from(encodedMac, 'base64url');
  // All keys are tried, so that the time taken doesn't tell which one it was.
  const matches = keys.filter((key) => {
    const expected = mac(taskId, key);
    return given.length === expected.length && timingSafeEqual(given, expected);
  });
  return matches.length > 0 ? taskId : null;
}

function mac(taskId: string, key: string): Buffer {
  return createHmac('sha256', key).update(`bridge-callback\n${taskId}`).digest();
}
