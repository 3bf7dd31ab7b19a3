// Bench: latencies at a given rate of messages, whatever becomes of the answers.
import { type Hops, observe } from '../observe.ts';
import { control, type Stage } from '../stage.ts';

/** An agent that thinks: by then "thinking" is sent, and the turn waits for nothing but the answer. */
const AGENT_MS = 150;

export interface OpenLoop {
  trigger: 'doorbell' | 'polling';
  perSecond: number;
  turns: number;
  hops: Hops;
  violations: string[];
}

export interface OpenLoopOptions {
  trigger: OpenLoop['trigger'];
  perSecond: number;
  seconds: number;
  users: string[];
}

/** Latencies count from the moment at which a message was to be written, so a stalled system hides nothing. */
export async function runOpenLoop(stage: Stage, options: OpenLoopOptions): Promise<OpenLoop> {
  const { trigger, perSecond, seconds, users } = options;
  await control(stage.bridge, 'PATCH', '/settings', { behaviour: { delayMs: AGENT_MS } });
  const count = Math.round(perSecond * seconds);
  await stage.wecom.ask({ kind: 'open', users, perSecond, count, seed: perSecond, mark: '' });
  const { turns, hops, violations } = await observe(stage);
  return { trigger, perSecond, turns: turns.length, hops, violations };
}
