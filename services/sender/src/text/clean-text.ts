// A text on its way to a WeChat user: stack frames an agent let slip are taken out, nothing else is touched.
import { texts } from '@pipeline/texts';

/** Longer "locations" are no locations; the bound also keeps hostile texts linear. In UTF-16 units. */
const MAX_LOCATION_LENGTH = 2048;

const LOCATION = /^(\S+?)(?::\d+){2,}/;
/** `at 12:30:45` and `at 2026-01-31T12:30:45` are times of day, not line and column. */
const TIME_OF_DAY = /^\(?(?:\d{4}-\d\d?-\d\d?T)?\d\d?:\d\d:\d\d$/;
const FUNCTION_NAME = /^[^\s()]+$/;
/** What V8 writes between `at` and the name of a function. */
const NAME_PREFIX = /^(?:async|new|(?:\S+\.)?(?:get|set|static))$/;

const isBlank = (token: string | undefined): boolean => token !== undefined && token.trim() === '';

/** Length of a location at the start of `word`, with the `)` that closes a bracket opened in it; 0 if there is none. */
function locationLength(word: string): number {
  const found = LOCATION.exec(word.slice(0, MAX_LOCATION_LENGTH))?.[0];
  if (found === undefined || TIME_OF_DAY.test(found)) return 0;
  return found.includes('(') && word[found.length] === ')' ? found.length + 1 : found.length;
}

/** Where a frame that ends in the stack's top begins: the index of the white space before its `at`; else -1. */
function frameStart(stack: readonly string[], location: string): number {
  const top = stack.length - 1;
  const isFrameAt = (at: number): boolean => at > 0 && stack[at] === 'at' && isBlank(stack[at - 1]);
  if (isFrameAt(top - 2)) return top - 3;
  if (!location.startsWith('(') || !location.endsWith(')')) return -1;
  let name = top - 2;
  if (stack[name]?.endsWith(']') && stack[name - 2] === '[as') name -= 4;
  if (!FUNCTION_NAME.test(stack[name] ?? '')) return -1;
  let at = name - 2;
  for (let prefixes = 0; prefixes < 3 && NAME_PREFIX.test(stack[at] ?? ''); prefixes++) at -= 2;
  return isFrameAt(at) ? at - 1 : -1;
}

/** Words and white space by turns; taking a frame out may bring the ends of another one together. */
function withoutFrames(text: string): string {
  const stack: string[] = [];
  for (const token of text.match(/\s+|\S+/g) ?? []) {
    let pending = token;
    while (pending !== '') {
      const top = stack.at(-1);
      if (top !== undefined && isBlank(top) === isBlank(pending)) stack[stack.length - 1] = top + pending;
      else stack.push(pending);
      pending = '';
      const word = stack.at(-1) ?? '';
      if (stack.length < 4 || isBlank(word)) break;
      const length = locationLength(word);
      const start = length === 0 ? -1 : frameStart(stack, word.slice(0, length));
      if (start >= 0) {
        stack.length = start;
        pending = word.slice(length);
      }
    }
  }
  return stack.join('');
}

/**
 * The text as the user gets it: without stack frames (white space, `at`, white space, `something:line:column`, or the
 * same in parentheses behind a function's name), trimmed; `emptyReply` if nothing is left. Linear in its length.
 */
export function cleanText(text: string): string {
  return withoutFrames(text).trim() || texts.emptyReply;
}
