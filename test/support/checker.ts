// Reads what the WeCom simulator and the bridge saw, and says what is wrong with it.
import { eventually } from './eventually.ts';
import type { Pipeline } from './pipeline.ts';

const NUDGE_AFTER_MS = 12_000;
const MAX_NUDGES = 2;
const LAST_WAIT_MS = 30_000;

export interface AskedMessage {
  user: string;
  msgid: string;
  /** Unique among all messages; the bridge's default answer repeats it. */
  prompt: string;
}

export interface Findings {
  lost: string[];
  repeated: string[];
  reordered: string[];
  overlapping: string[];
  wrong: string[];
}

/** What the two simulators have recorded. */
export interface Seen {
  wecom: { control: Pick<Pipeline['wecom']['control'], 'sent'> };
  bridge: { control: Pick<Pipeline['bridge']['control'], 'task' | 'overlaps' | 'violations'> };
}

/** The faults found; all lists are empty when everybody got every answer, once, in order. */
export function check({ wecom, bridge }: Seen, asked: readonly AskedMessage[]): Findings {
  const findings: Findings = { lost: [], repeated: [], reordered: [], overlapping: [], wrong: [] };
  for (const [user, messages] of Map.groupBy(asked, (message) => message.user)) {
    const heard = wecom.control.sent({ user }).map(({ content }) => content);
    const places = messages.map(({ prompt, msgid }) => {
      const found = heard.flatMap((text, index) => (text.includes(`「${prompt}」`) ? [index] : []));
      if (found.length === 0) findings.lost.push(`${user}: no answer to "${prompt}"`);
      if (found.length > 1) findings.repeated.push(`${user}: ${found.length} answers to "${prompt}"`);
      const task = bridge.control.task(msgid);
      if (task === undefined) findings.lost.push(`${user}: "${prompt}" never reached the bridge`);
      else if (task.runs !== 1) findings.repeated.push(`${user}: "${prompt}" ran ${task.runs} times`);
      return { answer: found[0] ?? -1, startedAt: task?.startedAt ?? -1 };
    });
    for (const key of ['answer', 'startedAt'] as const) {
      const order = places.map((place) => place[key]).filter((place) => place >= 0);
      if (order.some((place, index) => index > 0 && place < (order[index - 1] ?? 0)))
        findings.reordered.push(`${user}: ${key === 'answer' ? 'answers' : 'tasks'} out of order`);
    }
    const sends = wecom.control.sent({ user });
    for (const send of sends) if (send.truncated) findings.wrong.push(`${user}: a text was cut`);
    const courtesies = heard.filter((text) => text.startsWith('🤔')).length;
    if (courtesies > messages.length) findings.repeated.push(`${user}: ${courtesies} times "thinking"`);
  }
  for (const overlap of bridge.control.overlaps()) findings.overlapping.push(JSON.stringify(overlap));
  for (const violation of bridge.control.violations()) findings.wrong.push(JSON.stringify(violation.violations));
  return findings;
}

export const NO_FINDINGS: Findings = { lost: [], repeated: [], reordered: [], overlapping: [], wrong: [] };

/** Whether every message asked has been answered at least once. */
export function isAllAnswered(pipeline: Pipeline, asked: readonly AskedMessage[]): boolean {
  const byUser = Map.groupBy(asked, (message) => message.user);
  return [...byUser].every(([user, messages]) => {
    const heard = pipeline.wecom.control.sent({ user });
    return messages.every(({ prompt }) => heard.some(({ content }) => content.includes(`「${prompt}」`)));
  });
}

/**
 * Waits until everything asked is answered. Who writes while ingest is away may find, afterwards, that sends begun in
 * the meantime have spent the new message's allowance: their answer then waits for their next message, as for a person.
 * @param ask makes a user write again
 */
export async function settle(
  pipeline: Pipeline,
  asked: readonly AskedMessage[],
  ask: (user: string) => void,
): Promise<void> {
  for (let round = 0; round < MAX_NUDGES; round++) {
    const isAnswered = await eventually('all answered', () => isAllAnswered(pipeline, asked), {
      withinMs: NUDGE_AFTER_MS,
      everyMs: 100,
    }).catch(() => false);
    if (isAnswered) return;
    for (const user of new Set(asked.map((message) => message.user)))
      if (pipeline.wecom.control.refused({ user }).length > 0) ask(user);
  }
  await eventually('all answered', () => isAllAnswered(pipeline, asked), { withinMs: LAST_WAIT_MS, everyMs: 100 });
}
