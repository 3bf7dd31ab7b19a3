// Markdown's fenced code blocks, as far as splitting a text needs them: what opens, what closes, what reopens.

/** An opening fence: its indentation (up to 3 spaces), its run of back-ticks or tildes, and what follows it. */
export interface Fence {
  indent: string;
  mark: string;
  info: string;
}

/** Longer info strings are shortened when a block is reopened, so that fences never crowd out the content. */
const MAX_REOPENED_INFO_BYTES = 64;
/** A longer run is a ruler somebody drew, not a fence. */
const MAX_MARK_LENGTH = 32;

const FENCE_LINE = /^( {0,3})(`{3,}|~{3,})(.*)$/s;
const NEWLINE = /\r\n|[\n\r]/g;

/** The fence that `line` (without its line break) opens, or null. An info string behind back-ticks has none itself. */
export function openingFence(line: string): Fence | null {
  const [, indent = '', mark = '', rest = ''] = FENCE_LINE.exec(line) ?? [];
  if (mark === '' || mark.length > MAX_MARK_LENGTH || (mark.startsWith('`') && rest.includes('`'))) return null;
  return { indent, mark, info: rest.trim() };
}

/** Whether `line` ends the block: the same character, at least as often, and nothing else. */
export function closesFence(line: string, fence: Fence): boolean {
  const [, , mark = '', rest = ''] = FENCE_LINE.exec(line) ?? [];
  return mark.startsWith(fence.mark) && rest.trim() === '';
}

export const closingLine = ({ indent, mark }: Fence): string => indent + mark;

export function reopeningLine({ indent, mark, info }: Fence): string {
  return indent + mark + info.slice(0, indexAtBytes(info, MAX_REOPENED_INFO_BYTES)).trimEnd();
}

/** The largest index (in UTF-16 units, between code points) up to which well-formed `text` takes at most `bytes`. */
export function indexAtBytes(text: string, bytes: number): number {
  let index = 0;
  for (let left = bytes; index < text.length; ) {
    const codePoint = text.codePointAt(index) ?? 0;
    left -= codePoint < 0x80 ? 1 : codePoint < 0x800 ? 2 : codePoint < 0x10000 ? 3 : 4;
    if (left < 0) break;
    index += codePoint < 0x10000 ? 1 : 2;
  }
  return index;
}

/** The lines of `text` from `start` on, each with its own start and the start of the next one. */
export function* linesFrom(text: string, start: number): Generator<{ line: string; start: number; next: number }> {
  let lineStart = start;
  while (lineStart < text.length) {
    NEWLINE.lastIndex = lineStart;
    const found = NEWLINE.exec(text);
    const next = found === null ? text.length : found.index + found[0].length;
    yield { line: text.slice(lineStart, found?.index ?? text.length), start: lineStart, next };
    lineStart = next;
  }
}

/** Whether the block from its opening fence at `from` (or from the part's start) to its end takes at most `bytes`. */
export function blockFits(text: string, from: number, contentStart: number, fence: Fence, bytes: number): boolean {
  const window = text.slice(0, from + bytes + 1);
  for (const { line, start } of linesFrom(window, contentStart)) {
    if (!closesFence(line, fence)) continue;
    return Buffer.byteLength(text.slice(from, start + line.trimEnd().length)) <= bytes;
  }
  return window.length === text.length && Buffer.byteLength(text.slice(from).trimEnd()) <= bytes;
}
