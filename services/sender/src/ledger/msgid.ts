// The msgid under which WeCom gets a part: derived, so that a part offered twice is recognised as one.
import { createHash } from 'node:crypto';

/** 32 characters of `[0-9a-zA-Z_-]`, as send_msg wants it. */
export function msgidOf(userKey: string, textId: string, part: number, generation: number): string {
  return createHash('sha256').update(`${userKey}\n${textId}\n${part}\n${generation}`).digest('base64url').slice(0, 32);
}

/**
 * Which part and generation of a text a msgid stands for, or null.
 * @param generations how many there may be of a part: no more than the text has msgids
 */
export function findPart(
  userKey: string,
  textId: string,
  parts: number,
  generations: number,
  msgid: string,
): { part: number; generation: number } | null {
  for (let generation = 0; generation < generations; generation++)
    for (let part = 0; part < parts; part++)
      if (msgidOf(userKey, textId, part, generation) === msgid) return { part, generation };
  return null;
}
