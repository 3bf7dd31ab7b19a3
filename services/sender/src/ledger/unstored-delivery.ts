// A text as its delivery. One of a single part stands in the ledger itself and is stored as a delivery only when it
// leaves the queue: until then nothing needs it, and its first send isn't held up by a write.
import type { DeliveryPart, KnownDelivery } from '@pipeline/store';
import type { QueuedText } from './ledger-state.ts';
import { msgidOf } from './msgid.ts';

/** @param source the whole text, cleaned */
export function deliveryOf(
  userKey: string,
  { textId, msgId, kind, generation }: QueuedText,
  source: string,
  parts: DeliveryPart[],
): KnownDelivery {
  const generations = Array.from({ length: generation + 1 }, (_, one) => one);
  const msgids = generations.flatMap((one) => parts.map((_, part) => msgidOf(userKey, textId, part, one)));
  return { userKey, textId, msgId, kind, source, parts, msgids };
}

/** The delivery of a text that stands in the ledger alone; null if it is stored. */
export function unstoredDelivery(userKey: string, text: QueuedText): KnownDelivery | null {
  const { inline, isStored } = text;
  return isStored || inline === null
    ? null
    : deliveryOf(userKey, text, inline, [{ content: inline, at: 0, fence: null }]);
}
