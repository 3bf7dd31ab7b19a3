// A text as it is stored beside the ledger. One of a single part stands in the ledger itself and is stored only when it
// leaves the queue: until then nothing needs it, and its first send isn't held up by a write.
import type { NewStoredText, StoredPart } from '@pipeline/store';
import type { QueuedText } from './ledger-state.ts';
import { msgidOf } from './msgid.ts';

/** @param source the whole text, cleaned */
export function storedTextOf(
  userKey: string,
  { textId, msgId, kind, generation }: QueuedText,
  source: string,
  parts: StoredPart[],
): NewStoredText {
  const generations = Array.from({ length: generation + 1 }, (_, one) => one);
  const msgids = generations.flatMap((one) => parts.map((_, part) => msgidOf(userKey, textId, part, one)));
  return { userKey, textId, msgId, kind, source, parts, msgids };
}

/** What would be stored of a text that stands in the ledger alone; null if it is stored. */
export function unstoredText(userKey: string, text: QueuedText): NewStoredText | null {
  const { inline, isStored } = text;
  return isStored || inline === null
    ? null
    : storedTextOf(userKey, text, inline, [{ content: inline, at: 0, fence: null }]);
}
