// A toy service on the mailbox: per user an append-only list of numbers, each passed on once by one effect.
import { decodeBody, type Publisher } from '@pipeline/broker';
import { callSettled, exchanges, wake } from '@pipeline/contracts';
import { InvalidMessageError, sleep } from '@pipeline/runtime';
import type { StoredEffect } from '@pipeline/store';
import type { ActorTypes, Behaviour, Edges, OpenCall } from '../src/index.ts';

/** The body of a `toy.number`. */
export interface ToyNumber {
  n: number;
  /** Epoch seconds; null for events without one. */
  sendTime: number | null;
  /** Opens a call that takes so long; its outcome passes `called:<n>` on. */
  callMs?: number;
  /** Sets a due time; once it has passed, `due:<n>` is passed on. */
  dueInMs?: number;
  /** Passes nothing on, neither the number nor the outcome of its call. */
  isQuiet?: boolean;
  /** How this event misbehaves. */
  fault?: 'throws' | 'unsavable' | 'throws-on-wake' | 'kills' | 'kills-on-wake';
}

export interface ToyState {
  numbers: number[];
  called: number[];
  call: { n: number; attempt: number; startedAt: number; ms: number; isQuiet: boolean } | null;
  waiting: { n: number; ms: number; isQuiet: boolean }[];
  due: { n: number; at: number }[];
  throwsOnWake?: boolean;
  killsOnWake?: boolean;
  unsavable?: unknown;
}
export type ToyEvent =
  | ({ type: 'toy.number'; id: string } & ToyNumber)
  | { type: 'wake'; id: string }
  | { type: 'call.settled'; id: string; callId: string; n: number }
  | { type: 'call.lost'; id: string; callId: string };
export interface ToyEffect extends StoredEffect {
  what: string;
}
export interface ToyCall extends OpenCall {
  n: number;
  ms: number;
}

export interface ToyTypes extends ActorTypes {
  state: ToyState;
  event: ToyEvent;
  effect: ToyEffect;
  call: ToyCall;
  lookup: never;
}

type Decided = { state: ToyState; effects: ToyEffect[]; sideWrites: [] };

const emptyState = (): ToyState => ({ numbers: [], called: [], call: null, waiting: [], due: [] });
const callId = ({ n, attempt }: { n: number; attempt: number }) => `${n}:${attempt}`;

function openNext(state: ToyState, now: number): ToyState {
  const [next, ...waiting] = state.waiting;
  if (state.call || !next) return state;
  return { ...state, waiting, call: { ...next, attempt: 1, startedAt: now } };
}

function reduce(state: ToyState, event: ToyEvent, userKey: string, now: number): Decided {
  const effect = (what: string): ToyEffect => ({ id: `${userKey}/${what}`, what });
  const unchanged: Decided = { state, effects: [], sideWrites: [] };
  switch (event.type) {
    case 'toy.number': {
      if (event.fault === 'kills') process.kill(process.pid, 'SIGKILL');
      if (event.fault === 'throws') throw new Error(`number ${event.n} can't be handled`);
      const { n, callMs, dueInMs, isQuiet = false } = event;
      let next: ToyState = { ...state, numbers: [...state.numbers, n] };
      if (event.fault === 'throws-on-wake') next.throwsOnWake = true;
      if (event.fault === 'kills-on-wake') next.killsOnWake = true;
      // More than a document may hold: the database refuses this save and no other.
      if (event.fault === 'unsavable') next.unsavable = 'x'.repeat(17_000_000);
      if (callMs !== undefined)
        next = openNext({ ...next, waiting: [...next.waiting, { n, ms: callMs, isQuiet }] }, now);
      if (dueInMs !== undefined) next.due = [...next.due, { n, at: now + dueInMs }];
      return { state: next, effects: isQuiet ? [] : [effect(String(n))], sideWrites: [] };
    }
    case 'wake': {
      const passed = state.due.filter(({ at }) => at <= now);
      if (passed.length === 0) return unchanged;
      if (state.killsOnWake) process.kill(process.pid, 'SIGKILL');
      if (state.throwsOnWake) throw new Error('this wake always throws');
      const due = state.due.filter(({ at }) => at > now);
      return { state: { ...state, due }, effects: passed.map(({ n }) => effect(`due:${n}`)), sideWrites: [] };
    }
    case 'call.settled': {
      if (!state.call || callId(state.call) !== event.callId) return unchanged;
      const next = openNext({ ...state, call: null, called: [...state.called, event.n] }, now);
      return { state: next, effects: state.call.isQuiet ? [] : [effect(`called:${event.n}`)], sideWrites: [] };
    }
    case 'call.lost': {
      if (!state.call || callId(state.call) !== event.callId) return unchanged;
      const call = { ...state.call, attempt: state.call.attempt + 1, startedAt: now };
      return { state: { ...state, call }, effects: [], sideWrites: [] };
    }
  }
}

export const toyBehaviour: Behaviour<ToyTypes> = {
  initialState: emptyState,
  reduce: (state, event, { userKey, now }) => reduce(state, event, userKey, now),
  dueAt: (state) => (state.due.length === 0 ? null : Math.min(...state.due.map(({ at }) => at))),
  callOf: ({ call }) => call && { id: callId(call), startedAt: call.startedAt, n: call.n, ms: call.ms },
  deduplication: (event) => (event.type === 'toy.number' ? { id: event.id, time: event.sendTime ?? 0 } : null),
  isPatient: (event) => event.type === 'call.settled' || (event.type === 'toy.number' && event.isQuiet === true),
  wake: () => ({ type: 'wake', id: 'timer' }),
  callLost: (id) => ({ type: 'call.lost', id: `${id}:lost`, callId: id }),
};

/** @param published where effects go; the toy is a "router", so the sender's mailboxes record them */
export function toyEdges(publisher: Publisher, overrides: Partial<Edges<ToyTypes>> = {}): Edges<ToyTypes> {
  return {
    decode({ type, messageId: id, content }) {
      if (type === 'toy.number')
        return { type, id, sendTime: null, ...(JSON.parse(content.toString()) as { n: number }) };
      // `toy.end` marks the end of a queue for the rig and says nothing to the toy.
      if (type === wake.type || type === 'toy.end') return { type: 'wake', id };
      if (type === callSettled.type) {
        const { callId, outcome } = decodeBody(callSettled, content);
        return { type, id, callId, n: Number(outcome.n) };
      }
      throw new InvalidMessageError('message-unknown', `the toy has no use for ${type}`);
    },
    lookUp: () => Promise.reject(new Error('the toy asks nothing')),
    runEffect: (userKey, { id, what }) =>
      publisher.publish(exchanges.senderMailboxes, userKey, {
        type: 'toy.effect',
        messageId: id,
        correlationId: id,
        body: { what },
      }),
    async call(_userKey, { id, n, ms }) {
      await sleep(ms);
      return { type: 'call.settled', id: `${id}:settled`, callId: id, n };
    },
    async forwardOutcome(userKey, event) {
      if (event.type !== 'call.settled') return;
      const { id: messageId, callId, n } = event;
      const message = { type: callSettled.type, messageId, correlationId: callId, body: { callId, outcome: { n } } };
      await publisher.publish(exchanges.routerMailboxes, userKey, message);
    },
    parked: async () => {},
    ...overrides,
  };
}
