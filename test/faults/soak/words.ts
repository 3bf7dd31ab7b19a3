// Soak ─▶ what simulated users and agents say, so that every text that a user gets can be told from every other.
import { type TextKey, texts } from '@pipeline/texts';

const PARAGRAPH = '小龙虾先把问题拆成几步,再一步一步地做,每做完一步都检查结果是否和预期一致。';

/** `q17 x40` is answered with 40 paragraphs, `q17` with one; each carries the question's name and its own number. */
export function answerFor(prompt: string): string {
  const [name = '', length = 'x1'] = prompt.split(' ');
  const paragraphs = Number(length.slice(1)) || 1;
  return Array.from({ length: paragraphs }, (_, index) => `「${name}#${index + 1}/${paragraphs}」${PARAGRAPH}`).join(
    '\n\n',
  );
}

/** Failures that a user may be told of instead of an answer. */
const FAILURES = [
  'bridgeRestarting',
  'bridgeRefused',
  'timeout',
  'disconnected',
  'aborted',
  'shuttingDown',
  'failed',
] as const;
export type Failure = (typeof FAILURES)[number];

export type Heard = { hasMore: boolean } & (
  | { kind: 'answer'; name: string; paragraphs: number[]; of: number; isLate: boolean; isWhole: boolean }
  | { kind: 'failure'; failure: Failure }
  | {
      kind: 'notice';
      notice: 'thinking' | 'stillThinking' | 'queued' | 'unsupported' | 'queueFull' | 'rateLimited' | 'bound';
    }
  | { kind: 'unknown' }
);

/** A text of the catalogue as a pattern: what is filled in may be anything. */
const pattern = (key: TextKey) => new RegExp(`^${RegExp.escape(texts[key]).replaceAll(/\\\{\w+\\\}/g, '.*')}$`, 's');
const MORE = `\n${texts.more}`;
const LATE = texts.lateReply.split('{')[0] ?? '';
const FAILURE_PATTERNS = FAILURES.map((failure) => ({ failure, pattern: pattern(failure) }));
const NOTICES = ['thinking', 'stillThinking', 'queued', 'unsupported', 'queueFull', 'rateLimited', 'bound'] as const;
const NOTICE_PATTERNS = NOTICES.map((notice) => ({ notice, pattern: pattern(notice) }));

/** What a text is, read as the user sees it. */
export function readText(content: string): Heard {
  const trimmed = content.trimEnd();
  const hasMore = trimmed.endsWith(texts.more);
  const body = hasMore
    ? trimmed
        .slice(0, -texts.more.length)
        .replace(new RegExp(`${MORE}$`), '')
        .trimEnd()
    : content;
  const marks = [...body.matchAll(/「([^「」#]+)#(\d+)\/(\d+)」/g)];
  const [first] = marks;
  if (first) {
    const isLate = body.startsWith(LATE);
    const own = isLate ? body.slice(LATE.length) : body;
    const wanted = marks.map(([mark]) => mark + PARAGRAPH).join('\n\n');
    const isWhole = own.trim() === wanted && marks.every((mark) => mark[1] === first[1]);
    const paragraphs = marks.map((mark) => Number(mark[2]));
    return { kind: 'answer', name: first[1] ?? '', paragraphs, of: Number(first[3]), isLate, isWhole, hasMore };
  }
  const failed = FAILURE_PATTERNS.find(({ pattern }) => pattern.test(body));
  if (failed) return { kind: 'failure', failure: failed.failure, hasMore };
  const noticed = NOTICE_PATTERNS.find(({ pattern }) => pattern.test(body));
  if (noticed) return { kind: 'notice', notice: noticed.notice, hasMore };
  return { kind: 'unknown', hasMore };
}
