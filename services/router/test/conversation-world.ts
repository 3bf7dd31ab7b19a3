// The world around one conversation: plays the mailbox, the bridges and whoever settles holds, and checks every step.
import { type CustomerItem, renewalBy } from '@pipeline/contracts';
import { callOf, createConversationReducer, dueAt } from '../src/conversation/conversation.ts';
import {
  type BridgeOutcome,
  type ConversationEffect,
  type ConversationEvent,
  type ConversationSettings,
  type ConversationState,
  type Destination,
  emptyConversation,
  type FailureText,
} from '../src/conversation/conversation-state.ts';

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
  const effectIds = new Set<string>();
  const textsAbout = new Map<string, TextEffect[]>();
  const started: string[] = [];
  const acceptedAt = new Map<string, number>();

  const world = {
    state: emptyConversation() as ConversationState,
    now: startOfTime,
    destination: running,
    /** The broker refuses this user's effects. */
    isHeldUp: false,
    effects,
    items,
    started,

    /** What was said of one message. */
    texts: (msgId: string): TextEffect[] => textsAbout.get(msgId) ?? [],
    /** The same as `<kind>:<name of the text>`. */
    said: (msgId: string) => world.texts(msgId).map(({ id, textKind }) => `${textKind}:${id.slice(msgId.length + 1)}`),
    contents: (msgId: string) => world.texts(msgId).map(({ content }) => content),
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
        if (lookups === 100) throw new Error('the reducer asks without end');
        const decision = reduce(world.state, next, { userKey, now: world.now, isHeldUp: world.isHeldUp });
        world.state = decision.state;
        caused.push(...decision.effects);
        next = decision.lookup ? { type: 'destination.found', id: 'lookup', destination: world.destination } : null;
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
    /** The bridge answers. */
    answer: (msgId: string, outcome: Answer = 'answered') => world.deliver(answered(msgId, outcome)),
    lose(callId = world.callId() ?? '') {
      return world.deliver({ type: 'call.lost', id: `${callId}:lost`, callId });
    },
    wake: () => world.deliver({ type: 'wake', id: 'timer' }),
    /** Time goes by, and the conversation is woken when it is due; once only if nobody was there to do it. */
    pass(ms: number, isWatched = true): ConversationEffect[] {
      const until = world.now + ms;
      const caused: ConversationEffect[] = [];
      for (let due = world.dueAt(); due !== null && due <= until; due = world.dueAt()) {
        world.now = isWatched ? Math.max(world.now, due) : until;
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
        if (turns === 200) throw new Error('the turns never end');
        if (world.callId()) world.ack();
        world.pass(settings.callbackTimeoutMs);
      }
    },
  };

  const record = (caused: readonly ConversationEffect[]) => {
    const texts = caused.filter((effect) => effect.kind === 'text');
    for (const { id } of caused) {
      if (effectIds.has(id)) throw new Error(`effect ${id} was decided twice`);
      effectIds.add(id);
    }
    effects.push(...caused);
    for (const text of texts) noteStart(text);
    for (const text of texts) checkLimits(text);
  };

  const keyOf = ({ id, msgId }: TextEffect) => id.slice(msgId.length + 1);
  const placeOf = (msgId: string) => items.findIndex((item) => item.msgId === msgId);

  const noteStart = (text: TextEffect) => {
    const { msgId } = text;
    const key = keyOf(text);
    const isStart = key === 'thinking' || (text.textKind === 'answer' && key !== 'late' && !started.includes(msgId));
    if (isStart) {
      const before = started.at(-1);
      if (before && placeOf(before) > placeOf(msgId)) throw new Error(`${msgId} was started behind ${before}`);
      if (before && endingsOf(before).length !== 1) throw new Error(`${msgId} was started before ${before} ended`);
      started.push(msgId);
    }
    const item = items[placeOf(msgId)];
    if (item === undefined) throw new Error(`a text about ${msgId}, which nobody sent`);
    if (isStart || key === 'queued') acceptedAt.set(msgId, item.sendTime);
    const isFirst = world.texts(msgId).length === 0;
    if (isFirst && JSON.stringify(text.renewal) !== JSON.stringify(renewalBy(item)))
      throw new Error(`${text.id} is the first text about ${msgId} and doesn't tell of it`);
    textsAbout.set(msgId, [...world.texts(msgId), text]);
  };

  const checkLimits = (text: TextEffect) => {
    const key = keyOf(text);
    const place = placeOf(text.msgId);
    const isHold = ({ decidedBy, msgId }: CustomerItem) =>
      decidedBy !== null && !settled.has(msgId) && !effectIds.has(`${msgId}:queueFull`);
    const isHeldBack = items.slice(0, place).some(isHold);
    if (isHeldBack && key !== 'queueFull') throw new Error(`${text.id} was decided behind a hold`);
    const sendTime = items[place]?.sendTime ?? 0;
    const times = [...acceptedAt.values()];
    const { rateLimitPerMinute } = settings;
    for (const end of times)
      if (times.filter((time) => time <= end && time > end - 60).length > rateLimitPerMinute)
        throw new Error(`${text.id}: too many messages accepted in a minute`);
    const isFew = times.filter((time) => Math.abs(time - sendTime) < 60).length < rateLimitPerMinute;
    if (key === 'rateLimited' && isFew) throw new Error(`${text.id} for too few messages`);
  };

  const endingsOf = (msgId: string) =>
    world.texts(msgId).filter((text) => text.textKind === 'answer' && keyOf(text) !== 'late');

  const checkState = () => {
    const { turn, entries, accepted, settlements, unanswered } = world.state;
    const waiting = entries.filter(({ status }) => status === 'accepted').length;
    const facts = {
      'no more than the limit waits or runs': waiting + (turn ? 1 : 0) <= settings.queueMaxDepth,
      'no more than 20 stand behind a hold': entries.length - waiting <= 21,
      'what is accepted stands in front': entries.slice(0, waiting).every(({ status }) => status === 'accepted'),
      'a hold stands before what is not judged': entries.length === waiting || entries[waiting]?.status === 'hold',
      'nothing accepted waits without a turn': turn !== null || waiting === 0 || world.isHeldUp,
      'what waits has a due time':
        world.dueAt() !== null || (entries.length === waiting && (!turn || world.callId() !== null)),
      'a turn that runs has no reply yet': !turn || endingsOf(turn.msgId).length === 0,
      'the document stays small': accepted.length <= 10 && settlements.length <= 16 && unanswered.length <= 100,
    };
    for (const [fact, isTrue] of Object.entries(facts)) if (!isTrue) throw new Error(`not so: ${fact}`);
  };

  return world;
}

/** A conversation whose turn of `m1` waits for the bridge's answer. */
export function conversationAtWork() {
  const world = createConversationWorld();
  world.item('m1');
  world.ack();
  return world;
}

/** What a bridge says to bring this about. */
export const answered = (msgId: string, outcome: Answer): ConversationEvent => ({
  type: 'bridge.answered',
  id: `${msgId}:answered`,
  answer: {
    msgId,
    ok: outcome === 'answered',
    content: outcome === 'answered' ? `answer to ${msgId}` : outcome === 'shuttingDown' ? 'shutting down' : outcome,
    isTimeout: outcome === 'timeout',
  },
});

/** A text message of the customer, sent now. */
export const itemOf = (msgId: string, now: number, fields: Partial<CustomerItem> = {}): CustomerItem => ({
  msgId,
  sendTime: Math.floor(now / 1000),
  receivedAt: now,
  msgtype: 'text',
  text: `text of ${msgId}`,
  decidedBy: null,
  match: null,
  ...fields,
});
