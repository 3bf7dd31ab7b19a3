// A text as the parts that WeCom gets, each with its place in the source.
import type { StoredPart } from '@pipeline/store';
import { MAX_PART_BYTES, type Rest, takePart } from './split-text.ts';

/** Splits `rest` (a suffix of `source`) into parts; the first may be at most `firstMaxBytes` long. */
export function toParts(source: string, from: Rest, firstMaxBytes = MAX_PART_BYTES): StoredPart[] {
  const parts: StoredPart[] = [];
  for (let rest: Rest | null = from; rest !== null; ) {
    const { text, fence } = rest;
    const taken = takePart(rest, parts.length === 0 ? firstMaxBytes : MAX_PART_BYTES);
    parts.push({ content: taken.part, at: source.length - text.length, fence });
    rest = taken.rest;
  }
  return parts;
}

/** The parts with everything from index `next` on split anew, the first of it at most `firstMaxBytes` long. */
export function resplit(
  source: string,
  parts: readonly StoredPart[],
  next: number,
  firstMaxBytes: number,
): StoredPart[] {
  const first = parts[next];
  if (!first) return [...parts];
  return [
    ...parts.slice(0, next),
    ...toParts(source, { text: source.slice(first.at), fence: first.fence }, firstMaxBytes),
  ];
}
