// Bridge simulator: what a person can ask for by the prompt itself, in the chat page or a test.
import type { BehaviourPatch } from './behaviour.ts';

/**
 * | prompt | the bridge |
 * | --- | --- |
 * | `长文`, `long`, `长文 9000`, `long 9000` | answers with 6000 (or so many) bytes in numbered paragraphs |
 * | `代码`, `code` | answers with a long fenced code block |
 * | `空`, `empty` | answers with nothing |
 * | `堆栈`, `stack` | answers with fragments of a stack trace in the text |
 * | `慢 30`, `slow 30` | answers after so many seconds |
 * | `!refuse TEXT` | ack `ok:false` with TEXT (`bridge not connected` when absent) |
 * | `!status 503` | ack with that HTTP status |
 * | `!not-json` · `!huge-ack` · `!no-ack` | ack that isn't JSON · is over 256 KiB · never comes |
 * | `!drop-before` · `!drop-after` | cuts the connection without · with running the task |
 * | `!error TEXT` · `!timeout` | callback `ok:false` with TEXT · with `isTimeout` |
 * | `!never` | never calls back |
 * | `!twice` | calls back twice, the second time with another text |
 * | `!forged` · `!no-token` | calls back with a wrong · without a token |
 * | `!top-level` | `msgId` at the top level of the callback |
 * | `!oversize` | callback of 300 KiB |
 * | `!early` | calls back before it acks |
 */
export function behaviourOfPrompt(prompt: string): BehaviourPatch | undefined {
  const [word = '', ...rest] = prompt.split(/\s+/);
  const argument = rest.join(' ');
  const command = COMMANDS[word.toLowerCase()];
  return command?.(argument);
}

const DEFAULT_LONG_BYTES = 6000;
const MAX_LONG_BYTES = 250_000;
const OVERSIZE_BYTES = 300 * 1024;

/** The word alone or with one number; anything else is an ordinary sentence that begins with it. */
const withNumber =
  (make: (number: number | undefined) => BehaviourPatch) =>
  (argument: string): BehaviourPatch | undefined =>
    /^\d*$/.test(argument) ? make(argument === '' ? undefined : Number(argument)) : undefined;

const alone =
  (patch: BehaviourPatch) =>
  (argument: string): BehaviourPatch | undefined =>
    argument === '' ? patch : undefined;

const long = withNumber((bytes = DEFAULT_LONG_BYTES) => ({ contentBytes: Math.min(bytes, MAX_LONG_BYTES) }));
const slow = withNumber((seconds = 30) => ({ delayMs: seconds * 1000 }));
const code = alone({ content: codeAnswer() });
const empty = alone({ content: '' });
const stack = alone({
  content:
    '读文件时出错了\n    at readConfig (/app/src/config.js:10:5)\n    at /app/src/main.js:3:1\n不过已经改用默认配置。',
});

const COMMANDS: Record<string, (argument: string) => BehaviourPatch | undefined> = {
  长文: long,
  long,
  代码: code,
  code,
  空: empty,
  empty,
  堆栈: stack,
  stack,
  慢: slow,
  slow,
  '!refuse': (text) => ({ ack: 'refuse', ...(text === '' ? {} : { ackError: text }) }),
  '!status': withNumber((status = 500) => ({ ack: 'status', ackStatus: status })),
  '!not-json': alone({ ack: 'notJson' }),
  '!huge-ack': alone({ ack: 'huge' }),
  '!no-ack': alone({ ack: 'none' }),
  '!drop-before': alone({ ack: 'dropBefore' }),
  '!drop-after': alone({ ack: 'dropAfter' }),
  '!error': (text) => ({ result: 'error', content: text === '' ? 'agent failed' : text }),
  '!timeout': alone({ result: 'timeout', content: 'task timed out' }),
  '!never': alone({ result: 'none' }),
  '!twice': alone({ callbacks: 2, differs: true }),
  '!forged': alone({ token: 'forged' }),
  '!no-token': alone({ token: 'missing' }),
  '!top-level': alone({ msgIdAt: 'top' }),
  '!oversize': alone({ contentBytes: OVERSIZE_BYTES }),
  '!early': alone({ callbackFirst: true }),
};

function codeAnswer(): string {
  const lines = Array.from({ length: 60 }, (_, index) => {
    const n = String(index + 1).padStart(2, '0');
    return `  step${n}(input: string) { return this.next(input.trim(), ${index + 1}); } // 第 ${n} 步`;
  });
  return `好的,这是你要的代码:\n\n\`\`\`ts\nclass Pipeline {\n${lines.join('\n')}\n}\n\`\`\`\n\n有问题随时问我。`;
}
