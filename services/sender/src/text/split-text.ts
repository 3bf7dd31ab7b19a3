// One answer, as many WeCom messages as it needs: the largest first part that ends where a reader would pause.
import {
  blockFits,
  closesFence,
  closingLine,
  type Fence,
  indexAtBytes,
  linesFrom,
  openingFence,
  reopeningLine,
} from './fenced-block.ts';
import { graphemeBoundaryAtOrBefore } from './grapheme-boundary.ts';
import { type Cut, cutInsideLine, whiteSpaceAt } from './line-cut.ts';

/** WeCom cuts off silently what a text message has beyond this many bytes of UTF-8 (send_msg, `text.content`). */
export const MAX_PART_BYTES = 2048;

/** What of a text is still to be sent. Plain JSON: it is stored between two parts. */
export interface Rest {
  text: string;
  /** The line that reopens the fenced block in which `text` begins (such as "```ts"); null outside of one. */
  fence: string | null;
}

export interface TakenPart {
  part: string;
  /** Null once everything is in parts. */
  rest: Rest | null;
}

interface FencedCut extends Cut {
  /** The block that is open at the cut. */
  fence: Fence | null;
}

const byteLength = (text: string): number => Buffer.byteLength(text);
const closingBytes = (fence: Fence | null): number => (fence === null ? 0 : byteLength(closingLine(fence)) + 1);

interface LineCuts {
  paragraph: FencedCut | null;
  line: FencedCut | null;
}

/**
 * The cut between lines: after the last paragraph that fits, else after the last line. A fenced block that fits into
 * a part as a whole is cut only if there is no other way, one that doesn't counts its blank lines as paragraphs.
 * Without a cut, `tooLong` is the line that has to be cut itself, or null if there is only white space before the limit.
 */
function cutBetweenLines(text: string, reopened: Fence | null, budget: number, maxBytes: number) {
  const outside: LineCuts = { paragraph: null, line: null };
  const insideWhole: LineCuts = { paragraph: null, line: null };
  let fence = reopened;
  let isKeptWhole = reopened !== null && blockFits(text, 0, 0, reopened, budget);
  let tooLong: { start: number; fence: Fence | null } | null = null;
  let bytes = 0;
  // A byte holds at most one UTF-16 unit, so the limit can't be further on than this.
  const window = text.slice(0, budget + 4);
  for (const { line, start, next } of linesFrom(window, 0)) {
    const content = line.trimEnd();
    const end = start + content.length;
    const bytesAtEnd = bytes + byteLength(content);
    bytes = bytesAtEnd + byteLength(window.slice(end, next));
    if (content === '') continue;
    if (bytesAtEnd > budget && tooLong !== null) break;
    const opened = fence === null ? openingFence(line) : null;
    if (opened !== null) {
      fence = opened;
      isKeptWhole = blockFits(text, start, next, opened, maxBytes);
      continue; // A cut right behind an opening fence would leave an empty block.
    }
    tooLong ??= { start, fence };
    if (bytesAtEnd > budget) break;
    if (fence !== null && closesFence(line, fence)) fence = null;
    const { newlines, lineStart } = whiteSpaceAt(text, end);
    if (newlines === 0 || bytesAtEnd + closingBytes(fence) > budget) continue;
    const cuts = fence !== null && isKeptWhole ? insideWhole : outside;
    cuts[newlines > 1 ? 'paragraph' : 'line'] = { end, next: lineStart, fence };
  }
  const cut = outside.paragraph ?? outside.line ?? insideWhole.paragraph ?? insideWhole.line;
  return { cut, tooLong };
}

function findCut(text: string, reopened: Fence | null, budget: number, maxBytes: number): FencedCut | null {
  const { cut, tooLong } = cutBetweenLines(text, reopened, budget, maxBytes);
  if (cut !== null || tooLong === null) return cut;
  const inLine = cutInsideLine(text, tooLong.start, budget - closingBytes(tooLong.fence));
  return inLine === null ? null : { ...inLine, fence: tooLong.fence };
}

/** The part up to the cut and what follows it. A block that has nothing left but its closing fence isn't reopened. */
function partAt(text: string, reopening: string, cut: FencedCut): TakenPart {
  const closing = cut.fence === null ? '' : `\n${closingLine(cut.fence)}`;
  let { fence, next } = cut;
  if (fence !== null && /[\n\r]/.test(text.charAt(next - 1))) {
    const { value } = linesFrom(text, next).next();
    if (value !== undefined && closesFence(value.line, fence)) {
      fence = null;
      next = whiteSpaceAt(text, next + value.line.trimEnd().length).lineStart;
    }
  }
  const left = text.slice(next);
  const rest = /\S/.test(left) ? { text: left, fence: fence === null ? null : reopeningLine(fence) } : null;
  return { part: reopening + text.slice(0, cut.end) + closing, rest };
}

/** Everything in one part, if it fits. A block that we reopened and that its author left open is closed. */
function wholeText(text: string, reopened: Fence | null, reopening: string, maxBytes: number): string | null {
  const trimmed = text.trimEnd();
  if (trimmed.length > maxBytes) return null;
  let isOpen = reopened !== null;
  for (const { line } of linesFrom(text, 0)) {
    if (reopened === null || !isOpen) break;
    isOpen = !closesFence(line, reopened);
  }
  const closing = reopened !== null && isOpen ? `\n${closingLine(reopened)}` : '';
  const candidates = closing === '' ? [reopening + text, reopening + trimmed] : [reopening + trimmed + closing];
  return candidates.find((whole) => byteLength(whole) <= maxBytes) ?? null;
}

/**
 * When nothing but white space or an over-long opening fence fits before the limit: the white space shrinks to one
 * line break, else the fence line is cut (its end becomes the first line of the block), else code points are counted.
 */
function takeAwkwardPart(text: string, reopened: Fence | null, reopening: string, maxBytes: number): TakenPart {
  const [first] = linesFrom(text, 0);
  const opened = reopened === null && first !== undefined ? openingFence(first.line) : null;
  const start = opened === null || first === undefined ? 0 : first.line.trimEnd().length;
  const space = whiteSpaceAt(text, start).end;
  const joint = start === 0 ? '' : '\n';
  if (space - start > joint.length) {
    const squeezed = text.slice(0, start) + joint + text.slice(space);
    return takePart({ text: squeezed, fence: reopened === null ? null : reopeningLine(reopened) }, maxBytes);
  }
  const limit = indexAtBytes(text.slice(0, maxBytes), maxBytes - byteLength(reopening) - closingBytes(opened));
  if (opened !== null && limit > opened.indent.length + opened.mark.length) {
    const end = graphemeBoundaryAtOrBefore(text, limit) || limit;
    return partAt(text, reopening, { end, next: end, fence: opened });
  }
  const end = indexAtBytes(text.slice(0, maxBytes), maxBytes);
  return partAt(text, '', { end, next: end, fence: null });
}

/**
 * Takes the next part off a text.
 *
 * The part has at most `maxBytes` bytes of UTF-8, fences that close and reopen a split block included, and is never
 * blank if the text isn't. It ends at the last paragraph that fits, else line, else sentence, else white space, else
 * grapheme; a grapheme over the limit is cut between code points. Lost is only the white space at the cut. Lone
 * surrogates become U+FFFD, which is what WeCom would make of them.
 *
 * @throws RangeError if `maxBytes` is under 4, the longest code point.
 */
export function takePart(rest: Rest, maxBytes: number): TakenPart {
  if (maxBytes < 4) throw new RangeError(`a part can't be limited to ${maxBytes} bytes`);
  const text = rest.text.toWellFormed();
  const stored = rest.fence === null ? null : openingFence(rest.fence.toWellFormed());
  const fenceBytes = stored === null ? 0 : byteLength(reopeningLine(stored)) + 1 + closingBytes(stored);
  const reopened = fenceBytes + 4 > maxBytes ? null : stored;
  const reopening = reopened === null ? '' : `${reopeningLine(reopened)}\n`;
  const whole = wholeText(text, reopened, reopening, maxBytes);
  if (whole !== null) return { part: whole, rest: null };
  const cut = findCut(text, reopened, maxBytes - byteLength(reopening), maxBytes);
  return cut === null ? takeAwkwardPart(text, reopened, reopening, maxBytes) : partAt(text, reopening, cut);
}

/** All parts of a text, in order; none for a blank one. */
export function splitText(text: string, maxBytes: number = MAX_PART_BYTES): string[] {
  const parts: string[] = [];
  let rest: Rest | null = /\S/.test(text) ? { text, fence: null } : null;
  while (rest !== null) {
    const taken: TakenPart = takePart(rest, maxBytes);
    parts.push(taken.part);
    rest = taken.rest;
  }
  return parts;
}
