// Bridge simulator: one POST to /task-async from body to ack to callback.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { setTimeout as wait } from 'node:timers/promises';
import { ack, sendJson } from './ack.ts';
import { longAnswer } from './answers.ts';
import { type Behaviour, type BehaviourPatch, defaultBehaviour, type Rules, withPatches } from './behaviour.ts';
import type { PostCallback } from './post-callback.ts';
import { behaviourOfPrompt } from './prompt-commands.ts';
import { parseTaskBody, type TaskBody } from './task-body.ts';
import type { TaskBook, TaskRecord } from './task-book.ts';

const MAX_BODY_BYTES = 1024 * 1024;

export type BridgeSettings = {
  /** A second POST with a known key is acked again and runs nothing. */
  isIdempotent: boolean;
  /** Whether prompts are read as commands. */
  readsPrompts: boolean;
  behaviour: BehaviourPatch;
  /** What it answers where no behaviour says it. */
  answer: (prompt: string, taskNumber: number) => string;
};

export type TaskParts = {
  book: TaskBook;
  rules: Rules;
  settings: BridgeSettings;
  postCallback: PostCallback;
};

/** `dying` ends what the instance is at: nothing calls back after it. */
export type TaskHandler = (
  instance: { port: number; dying: AbortSignal },
  request: IncomingMessage,
  response: ServerResponse,
) => Promise<void>;

const now = () => performance.timeOrigin + performance.now();

export function createTaskHandler({ book, rules, settings, postCallback }: TaskParts): TaskHandler {
  return async ({ port, dying }, request, response) => {
    const at = now();
    const text = await readText(request);
    // Half a request says nothing about who sent it: the connection broke.
    if (text === undefined) return;
    const parsed = parseTaskBody(text, request.headers['content-type'] ?? '');
    if (!parsed.ok) {
      book.violate({ at, port, violations: parsed.violations, body: text.slice(0, 2000) });
      sendJson(response, 400, { ok: false, error: parsed.violations.join('; ') });
      return;
    }
    const { body } = parsed;
    const { task, isNew } = book.post(port, body, at);
    const behaviour = behaviourFor(port, body, isNew);
    if (!isNew && settings.isIdempotent) {
      // A connection cut before the task began: as far as this bridge knows, this POST is the first.
      if (task.ack === 'dropBefore') await run(task, body, { ...behaviour, ack: 'accept' }, response, dying);
      else await ackAgain(task, body, behaviour, response, dying);
      return;
    }
    await run(task, body, behaviour, response, dying);
  };

  /** Rules with a count are used up by first POSTs only. */
  function behaviourFor(port: number, body: TaskBody, isNew: boolean): Behaviour {
    const user = body.callbackData.externalUserId;
    const byRule = isNew || !settings.isIdempotent ? rules.pick({ port, user, prompt: body.prompt }) : {};
    const byPrompt = settings.readsPrompts ? behaviourOfPrompt(body.prompt) : undefined;
    return withPatches(defaultBehaviour, [settings.behaviour, byRule, byPrompt ?? {}]);
  }

  async function run(
    task: TaskRecord,
    body: TaskBody,
    behaviour: Behaviour,
    response: ServerResponse,
    dying: AbortSignal,
  ): Promise<void> {
    const begins = ['accept', 'none', 'huge', 'dropAfter'].includes(behaviour.ack);
    if (begins) book.begin(task, now());
    if (begins && behaviour.callbackFirst) await finish(task, body, behaviour, dying);
    if (behaviour.ack !== 'dropBefore') await pause(behaviour.ackDelayMs, dying);
    task.ack = behaviour.ack;
    task.ackedAt = now();
    ack(behaviour, response);
    if (!begins) book.end(task, now());
    else if (!behaviour.callbackFirst) await finish(task, body, behaviour, dying);
  }

  /** A known key: acked like any other; an answer the router never took is posted again, nothing is run. */
  async function ackAgain(
    task: TaskRecord,
    body: TaskBody,
    behaviour: Behaviour,
    response: ServerResponse,
    dying: AbortSignal,
  ): Promise<void> {
    sendJson(response, 200, { ok: true, pending: true });
    const last = task.callbacks.at(-1);
    const isStuck = last?.hasEnded === true && (last.status === 0 || last.status === 503);
    if (isStuck) await callBack(task, body, { ...behaviour, callbacks: 1 }, dying);
  }

  async function finish(task: TaskRecord, body: TaskBody, behaviour: Behaviour, dying: AbortSignal): Promise<void> {
    await pause(behaviour.delayMs + Math.random() * behaviour.jitterMs, dying);
    const isSilent = behaviour.result === 'none' || dying.aborted;
    task.result = isSilent ? 'none' : behaviour.result;
    // A silent task never ends, but it must not count as an overlap of what the user asks next.
    book.end(task, now());
    if (isSilent) task.endedAt = null;
    else await callBack(task, body, behaviour, dying);
  }

  async function callBack(task: TaskRecord, body: TaskBody, behaviour: Behaviour, dying: AbortSignal): Promise<void> {
    const url = callbackUrl(body.callbackUrl, behaviour.token);
    for (let time = 1; time <= behaviour.callbacks && !dying.aborted; time += 1) {
      const content =
        contentOf(task, behaviour, settings.answer) + (behaviour.differs && time > 1 ? `(第 ${time} 次)` : '');
      task.contentBytes = Buffer.byteLength(content);
      const record = { at: now(), answeredAt: null, hasEnded: false, attempts: 0, status: 0, body: '' };
      task.callbacks.push(record);
      await postCallback({ url, body: callbackBody(body, behaviour, content), dying }, record);
    }
  }
}

async function pause(ms: number, dying: AbortSignal): Promise<void> {
  // Cut short when the instance dies; the caller looks at the signal itself.
  if (ms > 0) await wait(ms, undefined, { signal: dying }).catch(() => undefined);
}

function contentOf(task: TaskRecord, behaviour: Behaviour, answer: BridgeSettings['answer']): string {
  if (behaviour.contentBytes !== undefined) return longAnswer(behaviour.contentBytes);
  return behaviour.content ?? answer(task.prompt, task.id);
}

function callbackUrl(url: string, token: Behaviour['token']): string {
  if (token === 'own') return url;
  const changed = new URL(url);
  if (token === 'missing') changed.searchParams.delete('token');
  else changed.searchParams.set('token', [...(changed.searchParams.get('token') ?? '')].reverse().join(''));
  return changed.href;
}

function callbackBody(body: TaskBody, behaviour: Behaviour, content: string): string {
  const { externalUserId, msgId } = body.callbackData;
  const ids =
    behaviour.msgIdAt === 'top' ? { msgId, callbackData: { externalUserId } } : { callbackData: body.callbackData };
  const isTimeout = behaviour.result === 'timeout';
  return JSON.stringify({ ok: behaviour.result === 'ok', content, isTimeout, ...ids });
}

/** Undefined when the connection broke before the end of the body. */
function readText(request: IncomingMessage): Promise<string | undefined> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let size = 0;
    request.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size <= MAX_BODY_BYTES) chunks.push(chunk);
    });
    request.on('end', () => resolve(Buffer.concat(chunks).toString('utf8')));
    request.on('error', () => resolve(undefined));
    request.on('close', () => resolve(undefined));
  });
}
