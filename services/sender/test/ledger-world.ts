// The world around one ledger: plays the mailbox, the database and WeCom with its five sends per message, and checks every step.
import type { CustomerItem, Text, TextKind } from '@pipeline/contracts';
import type { StoredText } from '@pipeline/store';
import { sentContent } from '../src/ledger/affordable.ts';
import { callOf, createDueAt, createLedgerReducer } from '../src/ledger/ledger.ts';
import {
  emptyLedger,
  type LedgerEffect,
  type LedgerEvent,
  type LedgerSettings,
  type LedgerState,
  type QueuedText,
  type SendCall,
  type SendOutcome,
} from '../src/ledger/ledger-state.ts';
import { toParts } from '../src/text/text-parts.ts';
import { createWecom, type Fate, refusals, unanswered, type Wecom } from './wecom-model.ts';

export const settings: LedgerSettings = { allowance: 5, reserve: 3, windowMs: 172_800_000 };
export const userKey = 'wkA:wmB';
export const startOfTime = 1_800_000_000_000;

export interface Accepted {
  textId: string;
  part: number;
  msgid: string;
  content: string;
  hasMore: boolean;
}

export type World = ReturnType<typeof createLedgerWorld>;

/** A ledger in a world whose clock stands at {@link startOfTime}; nobody has written yet. */
export function createLedgerWorld(habits: Wecom = { checksFirst: 'msgid', burnsMsgids: false }) {
  const wecom = createWecom(habits, settings);
  const reduce = createLedgerReducer(settings);
  const dueAt = createDueAt(settings);
  const seen = new Set<string>();
  const deliveries = new Map<string, StoredText>();
  const callIds = new Set<string>();
  let written = 0;

  const world = {
    state: emptyLedger() as LedgerState,
    now: startOfTime,
    /** What the user has got, in order. */
    accepted: [] as Accepted[],
    effects: [] as LedgerEffect[],
    counts: [] as string[],
    /** errcodes of WeCom's refusals that were its own idea. */
    refusedWith: [] as number[],
    /** Texts whose parts were cut anew to make room for `more`. */
    splitAnew: new Set<string>(),
    dueAt: () => dueAt(world.state),
    call: () => callOf(world.state),
    stored: (textId: string) => deliveries.get(`${userKey}:${textId}`) ?? null,
    forget: (textId: string) => deliveries.delete(`${userKey}:${textId}`),
    deadLetters: () => world.effects.filter((effect) => effect.kind === 'dead-letter'),
    /** What the user has got, in a short form: `<text id>.<part>`, with `+` for `more`. */
    got: () => world.accepted.map(({ textId, part, hasMore }) => `${textId}.${part}${hasMore ? '+' : ''}`),

    /** @returns whether anything changed */
    deliver(event: LedgerEvent): boolean {
      const onceId = event.type === 'customer.item' || event.type === 'text' ? event.id : null;
      if (onceId !== null && seen.has(onceId)) return false;
      if (onceId !== null) seen.add(onceId);
      const before = world.state;
      const effectsBefore = world.effects.length;
      const saves: (() => void)[] = [];
      let next: LedgerEvent | null = event;
      for (let lookups = 0; next !== null; lookups++) {
        if (lookups === 100) throw new Error('the reducer asks without end');
        const stateBefore: LedgerState = world.state;
        const { state, effects, sideWrites, counts, lookup } = reduce(stateBefore, next, {
          userKey,
          now: world.now,
          isHeldUp: false,
        });
        world.state = state;
        world.effects.push(...effects);
        world.counts.push(...(counts ?? []));
        // Read before the save, as the mailbox does it.
        for (const { filter, update } of sideWrites) saves.push(() => save(filter._id, update));
        checkBegun(stateBefore);
        next = null;
        if (lookup?.kind === 'stored-text')
          next = {
            type: 'stored-text.found',
            id: 'lookup',
            textId: lookup.textId,
            stored: world.stored(lookup.textId),
          };
        else if (lookup) {
          const { failure } = lookup;
          const stored = [...deliveries.values()].find(({ msgids }) => msgids.includes(failure.failMsgid)) ?? null;
          next = { type: 'failed-part.found', id: 'lookup', failure, stored };
        }
      }
      for (const run of saves) run();
      checkState();
      return world.state !== before || world.effects.length > effectsBefore;
    },

    /** The customer writes: WeCom opens a new allowance. @returns the item, which ingest delivers sooner or later */
    write(fields: Partial<CustomerItem> = {}): LedgerEvent {
      const sendTime = Math.floor(world.now / 1000);
      wecom.renew(sendTime);
      const msgId = `m${written++}`;
      const item = {
        msgId,
        sendTime,
        receivedAt: world.now,
        msgtype: 'text',
        text: 'x',
        decidedBy: null,
        match: null,
        ...fields,
      };
      return { type: 'customer.item', id: item.msgId, item };
    },
    userWrites: (fields: Partial<CustomerItem> = {}) => world.deliver(world.write(fields)),
    /** The customer sends a lone continuation word. @returns what the conversation is told of it */
    userSaysMore(): boolean | undefined {
      world.userWrites({ decidedBy: 'sender', text: '继续' });
      const settled = world.effects.findLast((effect) => effect.kind === 'settled');
      return settled?.kind === 'settled' ? settled.consumed : undefined;
    },
    text(textId: string, kind: TextKind = 'answer', content = textId, msgId = `about-${textId}`): boolean {
      return world.tell({ textId, msgId, kind, content });
    },
    tell(fields: Omit<Text, 'decidedAt'>): boolean {
      const { textId } = fields;
      const text = { ...fields, decidedAt: world.now };
      return world.deliver({ type: 'text', id: textId, text });
    },

    /** Ends the open call. With burnt msgids a lost refusal can't be told from a delivery: a stated limit, kept out. */
    settle(fate: Fate = 'answered') {
      const call = world.call();
      if (!call) return;
      const { id, attempt } = call;
      const settled = (outcome: SendOutcome) =>
        world.deliver({ type: 'call.settled', id: `${id}:settled`, callId: id, outcome });
      const lost = () => world.deliver({ type: 'call.lost', id: `${id}:lost`, callId: id });
      if (fate === 'paused') return settled(unanswered(false));
      if (fate === 'lost before' || fate === 'crash before') {
        if (habits.burnsMsgids) return settled(unanswered(false));
        return fate === 'lost before' ? settled(unanswered(true)) : lost();
      }
      if (fate === 'busy' || fate === 'closed' || fate === 'misconfigured' || fate === 'blocked') {
        wecom.burn(attempt.msgid);
        return settled(refusals[fate]);
      }
      const outcome = offer(call);
      if (fate === 'answered' || (habits.burnsMsgids && outcome.kind !== 'sent')) return settled(outcome);
      return fate === 'lost behind' ? settled(unanswered(true)) : lost();
    },
    /** Everything that can be sent now is sent, without any trouble. */
    sendAll() {
      for (let sends = 0; world.call(); sends++) {
        if (sends === 1000) throw new Error('the sends never end');
        world.settle();
      }
    },
    report(failMsgid: string, failType = 4): boolean {
      return world.deliver({
        type: 'msg_send_fail',
        id: `fail-${failMsgid}`,
        failure: { msgId: `fail-${failMsgid}`, failMsgid, failType },
      });
    },
    wake() {
      world.deliver({ type: 'wake', id: 'timer' });
      const due = world.dueAt();
      if (due !== null && due <= world.now) throw new Error('a wake leaves something overdue');
    },
    /** Time goes by, and the ledger is woken whenever it is due. */
    pass(ms: number) {
      const until = world.now + ms;
      for (let due = world.dueAt(); due !== null && due <= until; due = world.dueAt()) {
        world.now = Math.max(world.now, due);
        world.wake();
      }
      world.now = until;
    },
    /** The user keeps writing and WeCom has no more trouble: after this nothing may be left. */
    finish() {
      for (let rounds = 0; world.state.queue.length > 0; rounds++) {
        if (rounds === 300) throw new Error('the queue never empties');
        world.userWrites();
        world.sendAll();
        world.pass(61_000);
        world.sendAll();
      }
    },
  };

  const save = (id: string, update: Record<string, unknown>) => {
    const { $set, $addToSet } = update as { $set?: StoredText; $addToSet?: { msgids: string } };
    const known = deliveries.get(id);
    if ($set && !isSplitAsAtFirst($set)) world.splitAnew.add($set.textId);
    if ($set) deliveries.set(id, { ...known, ...$set, _id: id });
    else if (known && $addToSet) deliveries.set(id, { ...known, msgids: [...known.msgids, $addToSet.msgids] });
  };

  const offer = ({ attempt, content: inline }: SendCall): SendOutcome => {
    const { textId, part, msgid, withMore } = attempt;
    const stored = world.stored(textId)?.parts[part]?.content;
    if (inline === null && stored === undefined) throw new Error(`${textId} has no part ${part}`);
    const content = inline ?? sentContent(stored ?? '', withMore);
    if (Buffer.byteLength(content) > 2048) throw new Error(`${textId}.${part} is too long`);
    const outcome = wecom.send(msgid, world.now);
    if (outcome.kind === 'refused') world.refusedWith.push(outcome.errcode);
    else world.accepted.push({ textId, part, msgid, content, hasMore: withMore });
    return outcome;
  };

  /** What must hold whenever a send begins. */
  const checkBegun = (before: LedgerState) => {
    const { attempt, queue, allowance } = world.state;
    if (
      !attempt ||
      attempt.begunAt !== world.now ||
      attempt.retryAt !== null ||
      callIds.has(`${attempt.msgid}#${attempt.tries}`)
    )
      return;
    if (before.attempt?.msgid === attempt.msgid && before.attempt.begunAt === attempt.begunAt) return;
    const text = queue.find(({ textId, next }) => textId === attempt.textId && next === attempt.part);
    const behind = queue.slice(text ? queue.indexOf(text) + 1 : 0).filter(({ kind }) => kind === 'answer');
    const isLast = allowance.remaining === 0;
    const { expected = 0 } = world.state;
    const isMoreToCome = text !== undefined && (text.next + 1 < text.parts || behind.length > 0 || expected > 0);
    const partsBehind = behind.reduce((sum, { parts, next }) => sum + parts - next, 0);
    const wasAttempted = text !== undefined && (text.generation > 0 || text.triesBefore > 0);
    assert({
      'the first text in the queue is sent': text !== undefined && queue[0] === text,
      'courtesy leaves the reserve': text?.kind !== 'courtesy' || allowance.remaining >= settings.reserve,
      'courtesy leaves enough for the answers that are expected':
        text?.kind !== 'courtesy' || allowance.remaining >= partsBehind + expected,
      'courtesy and notices leave enough for the answers behind them':
        text?.kind === 'answer' || allowance.remaining >= partsBehind,
      'the last affordable send says that there is more': !isLast || !isMoreToCome || attempt.withMore || wasAttempted,
      'more is not said of nothing': !attempt.withMore || (isLast && isMoreToCome),
    });
  };

  /** What must hold after every event. */
  const checkState = () => {
    const { attempt, queue, failures, settlements, allowance } = world.state;
    const due = world.dueAt();
    const call = world.call();
    if (call && !callIds.has(call.id)) callIds.add(call.id);
    const places = queue.map(({ textId, next }) => `${textId}.${next}`);
    const hasText = (text: QueuedText) => attempt?.textId === text.textId && attempt.part === text.next;
    assert({
      'an attempt is about a text in the queue': attempt === null || queue.filter(hasText).length === 1,
      'no part is queued twice': new Set(places).size === places.length,
      'what is queued is being sent or waits': queue.length === 0 || attempt !== null || queue[0]?.waitingSince != null,
      'only answers wait': attempt !== null || queue.every(({ kind }) => kind === 'answer'),
      'what waits has a due time': queue.length === 0 || due !== null || call !== null,
      'the document stays small': failures.length <= 50 && settlements.length <= 16 && allowance.begun.length <= 16,
      'what is left is never negative': allowance.remaining >= 0 && allowance.remaining <= settings.allowance,
    });
  };

  return world;
}

/** A ledger whose user has just written. */
export function ledgerAfterMessage(habits?: Wecom) {
  const world = createLedgerWorld(habits);
  world.userWrites();
  return world;
}

const isSplitAsAtFirst = ({ source, parts }: StoredText) =>
  JSON.stringify(toParts(source, { text: source, fence: null })) === JSON.stringify(parts);

/** An answer of that many parts. */
export const longAnswer = (parts: number) => 'word '.repeat(409 * (parts - 1) + 10);

function assert(facts: Record<string, boolean>) {
  for (const [fact, isTrue] of Object.entries(facts)) if (!isTrue) throw new Error(`not so: ${fact}`);
}
