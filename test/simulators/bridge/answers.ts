// Bridge simulator: the texts it answers with.

/** A friendly answer that repeats the prompt, so that a test can tell which task it belongs to. */
export function defaultAnswer(prompt: string, taskNumber: number): string {
  const quoted = prompt.length > 200 ? `${prompt.slice(0, 200)}…` : prompt;
  return `你说的是「${quoted}」,对吗?\n\n我已经替你处理好了。(第 ${taskNumber} 个任务)`;
}

const SENTENCES = [
  '小龙虾先把问题拆成几步,再一步一步地做。',
  '每做完一步,它都会检查结果是否和预期一致。',
  '如果不一致,它会回到上一步,换一种办法再试。',
  '最后它把所有结果汇总起来,写成这份说明。',
];

/** Exactly `bytes` of UTF-8 in numbered paragraphs: a reader sees at once whether one is missing or double. */
export function longAnswer(bytes: number): string {
  const parts: string[] = [];
  let left = bytes;
  for (let number = 1; left > 0; number += 1) {
    const part = cut(paragraph(number), left);
    parts.push(part);
    left -= Buffer.byteLength(part);
    // Less than a character is left over.
    if (left < 3) {
      parts.push('.'.repeat(left));
      left = 0;
    }
  }
  return parts.join('');
}

function paragraph(number: number): string {
  const sentences = SENTENCES.map((_, index) => SENTENCES[(number + index) % SENTENCES.length]).join('');
  return `【第 ${String(number).padStart(4, '0')} 段】${sentences}\n\n`;
}

function cut(text: string, maxBytes: number): string {
  const bytes = Buffer.from(text);
  let end = Math.min(maxBytes, bytes.length);
  while (end > 0 && end < bytes.length && ((bytes[end] ?? 0) & 0xc0) === 0x80) end -= 1;
  return bytes.toString('utf8', 0, end);
}
