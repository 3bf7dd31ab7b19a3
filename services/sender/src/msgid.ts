// The msgid under which WeCom gets a part: derived, so that a part offered twice is recognised as one.
import { createHash } from 'node:crypto';

/** Generations that a reported failure can still be matched to. */
const MAX_GENERATIONS = 12;

/** 32 characters of `[0-9a-zA-Z_-]`, as send_msg wants it. */
export function msgidOf(userKey: string, textId: string, part: number, generation: number): string {
  return createHash('sha256').update(`${userKey}\n${textId}\n${part}\n${generation}`).digest('base64url').slice(0, 32);
}

/** Which part and generation of a text a msgid stands for. */
export function findPart(
  userKey: string,
  textId: string,
  parts: number,
  msgid: string,
): { part: number; generation: number } | null {
  for (let part = 0; part < parts; part++)
    for (let generation = 0; generation < MAX_GENERATIONS; generation++)
      if (msgidOf(userKey, textId, part, generation) === msgid) return { part, generation };
  return null;
}
