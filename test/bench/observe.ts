// Bench: what became of the turns of a scenario: checked for loss, repeats and order, and taken apart into hops.
import type { TaskRecord } from '../simulators/bridge/task-book.ts';
import type { MessageRecord } from '../simulators/wecom/control.ts';
import type { RefusedRecord, SentRecord } from '../simulators/wecom/platform/journal.ts';
import { check, type Seen } from '../support/checker.ts';
import { type Latency, latencyOf } from './percentiles.ts';
import { control, type Stage } from './stage.ts';
import type { AskedTurn } from './turns.ts';

const NO_ANSWER_MS = 30_000;

export interface Hops {
  /** From the moment at which the customer meant to write. */
  messageToBridge: Latency;
  /** From the answer of sync_msg that held the message. */
  pageToBridge: Latency;
  /** From the bridge's callback to the arrival of send_msg at WeCom. */
  callbackToSend: Latency;
  messageToAnswer: Latency;
}

/** One turn's, ms; null where somebody else than the bridge called back. */
export type HopsOfTurn = { user: string } & Record<Exclude<keyof Hops, 'callbackToSend'>, number> & {
    callbackToSend: number | null;
  };

export interface Observed {
  turns: AskedTurn[];
  /** Of the turns that were answered. */
  rows: HopsOfTurn[];
  hops: Hops;
  /** send_msg calls accepted. */
  sends: number;
  /** Everything that must not be, in words. */
  violations: string[];
}

/** Waits for all answers, reads what both simulators have seen, and has them forget it. */
export async function observe(stage: Stage): Promise<Observed> {
  const { wecom, bridge } = stage;
  const turns = (await wecom.ask({ kind: 'collect', withinMs: NO_ANSWER_MS })) as AskedTurn[];
  const { sent } = await control<{ sent: SentRecord[] }>(wecom, 'GET', '/sent');
  const { refused } = await control<{ refused: RefusedRecord[] }>(wecom, 'GET', '/refused');
  const { overlaps: sendOverlaps } = await control<{ overlaps: unknown[] }>(wecom, 'GET', '/overlaps');
  const { messages } = await control<{ messages: MessageRecord[] }>(wecom, 'GET', '/messages');
  const { tasks } = await control<{ tasks: TaskRecord[] }>(bridge, 'GET', '/tasks');
  const { overlaps } = await control<{ overlaps: [] }>(bridge, 'GET', '/overlaps');
  const { violations } = await control<{ violations: [] }>(bridge, 'GET', '/violations');
  await control(bridge, 'POST', '/reset');
  await control(wecom, 'POST', '/reset');

  const byUser = Map.groupBy(sent, ({ externalUserId }) => externalUserId);
  const byMsgid = new Map(tasks.map((task) => [task.msgId, task]));
  const seen: Seen = {
    wecom: { control: { sent: ({ user = '' } = {}) => byUser.get(user) ?? [] } },
    bridge: {
      control: { task: (msgid) => byMsgid.get(msgid), overlaps: () => overlaps, violations: () => violations },
    },
  };
  const findings = Object.entries<string[]>({ ...check(seen, turns) }).flatMap(([kind, found]) =>
    found.map((each) => `${kind}: ${each}`),
  );
  const strangers = tasks.length - turns.length;
  if (strangers !== 0) findings.push(`wrong: ${tasks.length} tasks for ${turns.length} messages`);
  for (const { errcode, externalUserId } of refused)
    findings.push(`wrong: send to ${externalUserId} refused ${errcode}`);
  for (const overlap of sendOverlaps) findings.push(`overlapping: sends ${JSON.stringify(overlap)}`);

  const rows = hopsOf(turns, byMsgid, byUser, messages);
  const latency = (key: keyof Hops) => latencyOf(rows.map((row) => row[key]).filter((value) => value !== null));
  const hops = {
    messageToBridge: latency('messageToBridge'),
    pageToBridge: latency('pageToBridge'),
    callbackToSend: latency('callbackToSend'),
    messageToAnswer: latency('messageToAnswer'),
  };
  return { turns, rows, hops, sends: sent.length, violations: findings };
}

function hopsOf(
  turns: readonly AskedTurn[],
  tasks: ReadonlyMap<string, TaskRecord>,
  sentByUser: ReadonlyMap<string, SentRecord[]>,
  messages: readonly MessageRecord[],
): HopsOfTurn[] {
  const pulledAt = new Map(messages.map(({ msgid, firstReturnedAt }) => [msgid, firstReturnedAt ?? Number.NaN]));
  return turns.flatMap(({ user, msgid, prompt, intendedAt }) => {
    const task = tasks.get(msgid);
    const [callback] = task?.callbacks ?? [];
    const answer = sentByUser.get(user)?.find(({ content }) => content.includes(`「${prompt}」`));
    if (!task || !answer) return [];
    return {
      user,
      messageToBridge: task.startedAt - intendedAt,
      pageToBridge: task.startedAt - (pulledAt.get(msgid) ?? Number.NaN),
      callbackToSend: callback ? answer.arrivedAt - callback.at : null,
      messageToAnswer: answer.acceptedAt - intendedAt,
    };
  });
}
