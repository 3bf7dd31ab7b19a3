// Bench: thousands of turns whose agent thinks and thinks, and people who write meanwhile.
import type { TaskRecord } from '../../simulators/bridge/task-book.ts';
import { eventually } from '../../support/eventually.ts';
import { observe } from '../observe.ts';
import { type Latency, latencyOf } from '../percentiles.ts';
import { control, type Stage, sentCount } from '../stage.ts';

/** The bridge leaves messages with it unanswered until we post the answers ourselves. */
const HELD = '【不急】';
const OPENED_PER_SECOND = 300;
/** Far above what it takes: a busy machine fails nothing. */
const OPEN_WITHIN_MS = 600_000;
const POSTS_SIDE_BY_SIDE = 50;

export interface OpenTurns {
  open: number;
  routerMibBefore: number | null;
  routerMibOpen: number | null;
  /** Of that, JavaScript objects, those included that nobody has collected yet. */
  routerHeapMib: number;
  /** New customers' messages while all those are open: from the moment meant to the bridge. */
  start: Latency;
  violations: string[];
}

export async function runOpenTurns(
  stage: Stage,
  options: { waiting: string[]; newcomers: string[]; perSecond: number },
): Promise<OpenTurns> {
  const { waiting, newcomers, perSecond } = options;
  const { wecom, bridge } = stage;
  await stage.stop('router', 'sender'); // what earlier scenarios took is not this one's memory
  await Promise.all([stage.start('router'), stage.start('sender')]);
  const routerMib = () => stage.costs().get('router')?.rssMib ?? null;
  const routerMibBefore = routerMib();
  await control(bridge, 'POST', '/rules', { prompt: HELD, behaviour: { result: 'none' } });
  await wecom.ask({ kind: 'write', users: waiting, perSecond: OPENED_PER_SECOND, mark: HELD });
  const counts = () => control<{ tasks: number }>(bridge, 'GET', '/counts');
  await eventually('all turns open', async () => (await counts()).tasks >= waiting.length, {
    withinMs: OPEN_WITHIN_MS,
    everyMs: 200,
  });
  // Each of them is told "thinking" first: newcomers are to meet many open turns, not the rush of their beginning.
  await eventually('everybody told', async () => (await sentCount(stage)) >= waiting.length, {
    withinMs: OPEN_WITHIN_MS,
    everyMs: 200,
  });
  const { tasks: held } = await control<{ tasks: TaskRecord[] }>(bridge, 'GET', '/tasks');

  const count = newcomers.length;
  await wecom.ask({ kind: 'open', users: newcomers, perSecond, count, seed: 7, mark: '' });
  const newTasks = new Set(newcomers);
  await eventually('all new turns begun', async () => (await counts()).tasks >= held.length + newTasks.size, {
    withinMs: OPEN_WITHIN_MS,
    everyMs: 200,
  });
  const routerMibOpen = routerMib();
  const routerHeapMib = await heapMibOf(stage);

  const left = held.values();
  const answer = async () => {
    for (const { callbackUrl, externalUserId, msgId, prompt } of left) {
      const body = { ok: true, content: `「${prompt}」`, callbackData: { externalUserId, msgId } };
      const headers = { 'content-type': 'application/json' };
      const response = await fetch(callbackUrl, { method: 'POST', headers, body: JSON.stringify(body) });
      await response.arrayBuffer();
    }
  };
  await Promise.all(Array.from({ length: POSTS_SIDE_BY_SIDE }, answer));

  const { rows, violations } = await observe(stage);
  const starts = rows.filter(({ user }) => newTasks.has(user)).map(({ messageToBridge }) => messageToBridge);
  return { open: held.length, routerMibBefore, routerMibOpen, routerHeapMib, start: latencyOf(starts), violations };
}

async function heapMibOf({ running }: Stage): Promise<number> {
  const [router] = running.get('router') ?? [];
  const exposition = await (await fetch(`${router?.url}/metrics`)).text();
  return Number(/^nodejs_heap_size_used_bytes\{.*\} (\S+)$/m.exec(exposition)?.[1]) / 2 ** 20;
}
