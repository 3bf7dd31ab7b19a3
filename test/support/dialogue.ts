// What users hear, to the letter: every text is awaited in its order, and in the end nobody may have heard more.
import { expect } from '@jest/globals';
import { render } from '@pipeline/texts';
import type { TaskRecord } from '../simulators/bridge/task-book.ts';
import { eventually } from './eventually.ts';
import type { Pipeline } from './pipeline.ts';

// Far above what anything takes: a machine that is busy with other things fails no test.
const HEARD_WITHIN_MS = 30_000;
const ANSWER_DELAY_MS = 150;

export type Dialogue = ReturnType<typeof createDialogue>;

/** What the simulated bridge answers to a prompt unless told otherwise. */
export const answerTo = (prompt: string) => expect.stringContaining(`「${prompt}」`);

export function createDialogue(pipeline: Pipeline) {
  const expected = new Map<string, unknown[]>();
  const { wecom, bridge } = pipeline;
  const { say } = pipeline;
  // An answer in less time than a send takes overtakes "thinking", which is then rightly left out.
  bridge.control.changeSettings({ behaviour: { delayMs: ANSWER_DELAY_MS } });

  /** The next texts that the user gets are these, in this order. */
  const hears = async (user: string, ...texts: unknown[]): Promise<void> => {
    const all = [...(expected.get(user) ?? []), ...texts];
    expected.set(user, all);
    const isHeard = () => pipeline.heard(user).length >= all.length;
    // If it isn't heard in time, the comparison says what was heard instead.
    await eventually('all texts', isHeard, { withinMs: HEARD_WITHIN_MS }).catch(() => undefined);
    expect(pipeline.heard(user).slice(0, all.length)).toEqual(all);
  };

  /** The task of a message, once it has reached the bridge. */
  const taskOf = (msgid: string): Promise<TaskRecord> =>
    eventually(`a task for ${msgid}`, () => bridge.control.task(msgid), { withinMs: HEARD_WITHIN_MS });

  /** Answers a task in the bridge's place; `body` replaces the fields it names. */
  const callBack = async (msgid: string, body: Record<string, unknown> = {}, token?: string) => {
    const { callbackUrl, externalUserId } = await taskOf(msgid);
    // Only now the bridge has settled for silence: before, the user's next task would count as an overlap.
    await eventually('a silent task', () => bridge.control.task(msgid)?.result, { withinMs: HEARD_WITHIN_MS });
    const url = new URL(callbackUrl);
    if (token !== undefined) url.searchParams.set('token', token);
    return postJson(url.href, { ok: true, content: 'done', callbackData: { externalUserId, msgId: msgid }, ...body });
  };

  return {
    say,
    hears,
    taskOf,
    callBack,
    /** Several messages that WeCom hands out in one page, in this order. @returns their msgids */
    sayAtOnce(user: string, ...contents: string[]): string[] {
      const added = wecom.control.sendMessages(contents.map((content) => ({ externalUserId: user, content })));
      return added.map(({ msgid }) => msgid ?? '');
    },
    /** Binds the user to an instance of their own. @returns its id */
    async bind(user: string, fields: Record<string, unknown> = {}): Promise<string> {
      const id = `instance-of-${user}`;
      say(user, await pipeline.addInstance(id, { name: '阿虾', ...fields }));
      await hears(user, render('bound', { name: String(fields.name ?? '阿虾') }));
      return id;
    },
    /** What the user has heard so far was checked otherwise. */
    takesNote(user: string): void {
      expected.set(user, pipeline.heard(user));
    },
    /** The user's message is being worked on by the bridge until `callBack`. @returns its msgid */
    async keepBusy(user: string): Promise<string> {
      const msgid = say(user, '!never');
      await hears(user, render('thinking'));
      await taskOf(msgid);
      return msgid;
    },
    /** Of a whole file: nobody heard anything else, no task ran twice or beside another, nothing was cut. */
    expectNothingElse(): void {
      for (const [user, texts] of expected) expect([user, pipeline.heard(user)]).toEqual([user, texts]);
      expect(wecom.control.sent().filter(({ truncated }) => truncated)).toEqual([]);
      expect(bridge.control.tasks().filter(({ posts }) => posts !== 1)).toEqual([]);
      expect(bridge.control.overlaps()).toEqual([]);
      expect(bridge.control.violations()).toEqual([]);
    },
  };
}

/** @returns status and parsed body */
export async function postJson(url: string, body: unknown): Promise<{ status: number; body: unknown }> {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  const headers = { 'content-type': 'application/json' };
  const response = await fetch(url, { method: 'POST', headers, body: text });
  const answer = await response.text();
  return { status: response.status, body: answer === '' ? null : JSON.parse(answer) };
}

/** The value of a Prometheus counter or gauge, 0 while it has none; `labels` as they stand in the exposition. */
export async function metric(serviceUrl: string, name: string, ...labels: string[]): Promise<number> {
  const response = await fetch(`${serviceUrl}/metrics`);
  const lines = (await response.text()).split('\n').filter((line) => line.startsWith(`${name}{`));
  const values = lines.filter((line) => labels.every((label) => line.includes(label)));
  return values.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
}
