// A line too long for one message is cut at a sentence, else at white space, else between graphemes.
import { indexAtBytes } from './fenced-block.ts';
import { graphemeBoundaryAtOrBefore } from './grapheme-boundary.ts';

/** `text[0, end)` stays in this message, `text[next, …)` goes on in the next one; between them is only white space. */
export interface Cut {
  end: number;
  next: number;
}

const CJK = String.raw`[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}]`;
/**
 * Full-width marks always end a sentence. `.`, `!` and `?` do before white space and between CJK characters, so that
 * 3.14, a.js and ?q=1 stay whole. Closing quotes and brackets belong to the sentence.
 */
const SENTENCE_END = new RegExp(
  '[。！？][。！？.!?]*[”’」』）】》)]*' +
    String.raw`|(?<![.!?])[.!?]+["'”’」』）】》)\]]*(?=\s)` +
    `|(?<=${CJK})[.!?]+[”’」』）】》)]*(?=${CJK})`,
  'gu',
);
const FENCE_START = /^ {0,3}(?:```|~~~)/;
const LIST_NUMBER = /^\s*\d+\.$/;

const WHITE_SPACE = /\s/;

function isWhiteSpace(codeUnit: number): boolean {
  if (codeUnit < 0x80) return codeUnit === 0x20 || (codeUnit >= 0x09 && codeUnit <= 0x0d);
  return WHITE_SPACE.test(String.fromCharCode(codeUnit));
}

/** The white space at `index`: where it ends, where the last line in it begins, and how many line breaks it has. */
export function whiteSpaceAt(text: string, index: number): { end: number; lineStart: number; newlines: number } {
  let end = index;
  let newlines = 0;
  let lineStart = -1;
  for (; end < text.length && isWhiteSpace(text.charCodeAt(end)); end++) {
    const character = text[end];
    if (character !== '\n' && (character !== '\r' || text[end + 1] === '\n')) continue;
    newlines++;
    lineStart = end + 1;
  }
  return { end, lineStart: lineStart < 0 ? end : lineStart, newlines };
}

function lastValidCut(text: string, ends: readonly number[], after: number, limit: number): Cut | null {
  for (let i = ends.length - 1; i >= 0; i--) {
    const end = ends[i] ?? 0;
    if (end > limit || end <= after || graphemeBoundaryAtOrBefore(text, end) !== end) continue;
    // White space that carries a combining mark stays with its mark.
    const next = graphemeBoundaryAtOrBefore(text, whiteSpaceAt(text, end).lineStart);
    // Nor may what stood inside the line turn into a fence at the start of one.
    if (next >= end && !FENCE_START.test(text.slice(next, next + 6))) return { end, next };
  }
  return null;
}

/**
 * A cut inside the line that begins at `lineStart`, so that `text[0, end)` has at most `bytes` bytes of UTF-8 and
 * something of the line stays before the cut; null if nothing of it fits behind the white space in front of it.
 */
export function cutInsideLine(text: string, lineStart: number, bytes: number): Cut | null {
  const limit = indexAtBytes(text.slice(0, Math.max(0, bytes)), bytes);
  const content = whiteSpaceAt(text, lineStart).end;
  if (limit <= content) return null;
  const window = text.slice(content, limit + 2);
  const sentences = Array.from(window.matchAll(SENTENCE_END), (found) => content + found.index + found[0].length);
  const notListNumber = sentences.filter((end) => !LIST_NUMBER.test(text.slice(lineStart, end)));
  const spaces = Array.from(window.matchAll(/\s+/g), (found) => content + found.index);
  const cut = lastValidCut(text, notListNumber, content, limit) ?? lastValidCut(text, spaces, content, limit);
  if (cut !== null) return cut;
  const grapheme = graphemeBoundaryAtOrBefore(text, limit);
  if (grapheme > content) return { end: grapheme, next: grapheme };
  // Rather give up the white space in front than tear a grapheme that would fit without it.
  const before = text.slice(0, content);
  const canShrink = content - before.trimEnd().length > (before.trim() === '' ? 0 : 1);
  return canShrink ? null : { end: limit, next: limit };
}
