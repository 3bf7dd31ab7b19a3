// The world around one conversation: plays the mailbox, the bridges and whoever settles holds, and checks every step.
import { expect } from '@jest/globals';
import type { CustomerItem } from '@pipeline/contracts';
import { callOf, createConversationReducer, dueAt } from '../src/conversation.ts';
import {
  type BridgeOutcome,
  type ConversationEffect,
  type ConversationEvent,
  type ConversationSettings,
  type ConversationState,
  type Destination,
  emptyConversation,
  type FailureText,
} from '../src/conversation-state.ts';

export const settings: ConversationSettings = {
  rateLimitPerMinute: 10,
  queueMaxDepth: 5,
  callbackTimeoutMs: 180_000,
  thinkingReminderMs: 25_000,
};
export const userKey = 'wkA:wmB';
export const startOfTime = 1_800_000_000_000;

export const running: Destination = {
  isBound: true,
  instance: { id: 'i-1', name: '阿虾', status: 'running', serverHost: '10.0.0.1', hostPort: 8080 },
};
export const unbound: Destination = { isBound: false, instance: null };

type TextEffect = Extract<ConversationEffect, { kind: 'text' }>;
type Answer = 'answered' | FailureText;

export type World = ReturnType<typeof createConversationWorld>;

/** A conversation in a world whose clock stands at {@link startOfTime}. */
export function createConversationWorld() {
  const reduce = createConversationReducer(settings);
  const seen = new Set<string>();
  /** Items in WeCom's order. */
  const items: CustomerItem[] = [];
  const settled = new Set<string>();
  const effects: ConversationEffect[] = [];
  /** First answers, as they stand on their tasks. */
  const answers = new Map<string, Answer>();
  const started: string[] = [];
  const acceptedAt = new Map<string, number>();

  const world = {
    state: emptyConversation() as ConversationState,
    now: startOfTime,
    destination: running,
    effects,
    items,
    started,
    answers,

    texts: (msgId?: string): TextEffect[] =>
      effects
        .filter((effect) => effect.kind === 'text')
        .filter((effect) => msgId === undefined || effect.msgId === msgId),
    /** `kind:content`, the answer of the bridge as `answer:<bridge>`, what was said of one message. */
    said: (msgId: string) => world.texts(msgId).map(({ id, textKind }) => `${textKind}:${id.slice(msgId.length + 1)}`),
    callId: () => callOf(world.state)?.id ?? null,
    dueAt: () => dueAt(world.state),

    /** @returns the effects of this event */
    deliver(event: ConversationEvent): ConversationEffect[] {
      if (event.type === 'customer.item') {
        if (seen.has(event.item.msgId)) return [];
        seen.add(event.item.msgId);
        items.push(event.item);
      }
      if (event.type === 'item.settled') settled.add(event.msgId);
      const caused: ConversationEffect[] = [];
      let next: ConversationEvent | null = event;
      for (let lookups = 0; next !== null; lookups++) {
        expect(lookups).toBeLessThan(100);
        const decision = reduce(world.state, next, { userKey, now: world.now });
        world.state = decision.state;
        caused.push(...decision.effects);
        next = null;
        if (decision.lookup?.kind === 'destination')
          next = { type: 'destination.found', id: 'lookup', destination: world.destination };
        else if (decision.lookup) {
          const { msgId } = decision.lookup;
          next = { type: 'answer.found', id: 'lookup', msgId, answer: answers.get(msgId) ?? null };
        }
      }
      record(caused);
      checkState();
      return caused;
    },

    item: (msgId: string, fields: Partial<CustomerItem> = {}) =>
      world.deliver({ type: 'customer.item', id: msgId, item: itemOf(msgId, world.now, fields) }),
    settle: (msgId: string, consumed: boolean) =>
      world.deliver({ type: 'item.settled', id: `${msgId}:settled`, msgId, consumed }),
    outcome(outcome: BridgeOutcome, callId = world.callId() ?? '') {
      return world.deliver({ type: 'call.settled', id: `${callId}:settled`, callId, outcome });
    },
    ack: () => world.outcome({ kind: 'acked' }),
    /** The bridge's answer is stored on its task (the first one counts) and announced. */
    answer(msgId: string, answer: Answer = 'answered') {
      if (!answers.has(msgId)) answers.set(msgId, answer);
      return world.deliver({ type: 'answer.stored', id: `${msgId}:answer-stored`, msgId });
    },
    lose(callId = world.callId() ?? '') {
      return world.deliver({ type: 'call.lost', id: `${callId}:lost`, callId });
    },
    wake: () => world.deliver({ type: 'wake', id: 'timer' }),
    /** Time goes by, and the conversation is woken whenever it is due. */
    pass(ms: number): ConversationEffect[] {
      const until = world.now + ms;
      const caused: ConversationEffect[] = [];
      for (let due = world.dueAt(); due !== null && due <= until; due = world.dueAt()) {
        world.now = Math.max(world.now, due);
        caused.push(...world.wake());
      }
      world.now = until;
      return caused;
    },
    /** Everybody who owes an event delivers it: after this nothing may be left. */
    finish() {
      for (const { msgId, decidedBy } of [...items])
        if (decidedBy !== null && !settled.has(msgId)) world.settle(msgId, false);
      // A settlement that came too early and was forgotten is asked for again.
      for (const entry of world.state.entries) if (entry.status === 'hold') world.settle(entry.item.msgId, false);
      for (let turns = 0; world.state.turn; turns++) {
        expect(turns).toBeLessThan(200);
        if (world.callId()) world.ack();
        world.pass(settings.callbackTimeoutMs);
      }
    },
  };

  const record = (caused: readonly ConversationEffect[]) => {
    for (const effect of caused) {
      if (effects.some(({ id }) => id === effect.id)) throw new Error(`effect ${effect.id} was decided twice`);
      effects.push(effect);
      if (effect.kind === 'text') checkText(effect);
    }
  };

  const checkText = (effect: TextEffect) => {
    const { msgId } = effect;
    const key = effect.id.slice(msgId.length + 1);
    const place = items.findIndex((item) => item.msgId === msgId);
    const item = items[place];
    if (!item) throw new Error(`a text about ${msgId}, which nobody sent`);
    const isHeldBack = items.slice(0, place).some((before) => before.decidedBy !== null && !settled.has(before.msgId));
    if (isHeldBack) expect(key).toBe('queueFull');
    const isStart = key === 'thinking' || (effect.textKind === 'answer' && key !== 'late' && !started.includes(msgId));
    if (isStart) {
      const before = started.at(-1);
      if (before) {
        expect(items.findIndex((other) => other.msgId === before)).toBeLessThan(place);
        expect(endingsOf(before)).toHaveLength(1);
      }
      started.push(msgId);
    }
    if ((isStart || key === 'queued') && !acceptedAt.has(msgId)) acceptedAt.set(msgId, item.sendTime);
    const inWindow = [...acceptedAt.values()].filter((time) => Math.abs(time - item.sendTime) < 60);
    expect(inWindow.length).toBeLessThanOrEqual(settings.rateLimitPerMinute);
    if (key === 'rateLimited') expect(inWindow).toHaveLength(settings.rateLimitPerMinute);
  };

  const endingsOf = (msgId: string) =>
    world.texts(msgId).filter(({ id, textKind }) => textKind === 'answer' && id !== `${msgId}:late`);

  const checkState = () => {
    const { turn, entries, accepted, settlements, unanswered } = world.state;
    const waiting = entries.filter(({ status }) => status === 'accepted').length;
    expect(waiting + (turn ? 1 : 0)).toBeLessThanOrEqual(settings.queueMaxDepth);
    expect(entries.length - waiting).toBeLessThanOrEqual(21);
    expect(entries.findLastIndex(({ status }) => status === 'accepted')).toBe(waiting - 1);
    if (entries.length > waiting) expect(entries[waiting]?.status).toBe('hold');
    if (!turn) expect(waiting).toBe(0);
    if (turn?.phase === 'waiting' || entries.length > waiting) expect(world.dueAt()).not.toBeNull();
    expect(accepted.length).toBeLessThanOrEqual(settings.rateLimitPerMinute);
    expect(settlements.length).toBeLessThanOrEqual(16);
    expect(unanswered.length).toBeLessThanOrEqual(100);
    if (turn) expect(endingsOf(turn.msgId)).toHaveLength(0);
  };

  return world;
}

/** A text message of the customer, sent now. */
export const itemOf = (msgId: string, now: number, fields: Partial<CustomerItem> = {}): CustomerItem => ({
  msgId,
  sendTime: Math.floor(now / 1000),
  msgtype: 'text',
  text: `text of ${msgId}`,
  decidedBy: null,
  match: null,
  ...fields,
});
