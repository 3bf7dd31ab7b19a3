import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { answered, createConversationWorld, itemOf, running, unbound } from '../../test/conversation-world.ts';
import { outcomeOf } from './bridge-answer.ts';
import type { BridgeOutcome, ConversationEvent, Destination, FailureText } from './conversation-state.ts';

const numRuns = Number(process.env.PROPERTY_RUNS ?? 500);
const failures: FailureText[] = [
  'failed',
  'disconnected',
  'aborted',
  'shuttingDown',
  'bridgeRestarting',
  'bridgeRefused',
];
const stopped: Destination = { ...running, instance: running.instance && { ...running.instance, status: 'stopped' } };

type Step =
  | { do: 'write'; what: 'text' | 'image' | 'blank' | 'code' | 'word'; settledFirst: boolean | null; afterMs: number }
  | { do: 'settle'; which: number; consumed: boolean }
  | { do: 'outcome'; outcome: BridgeOutcome | 'lost'; older: number }
  | { do: 'answer'; which: number; answer: 'answered' | FailureText }
  | { do: 'deliver' | 'redeliver'; which: number }
  | { do: 'pass'; ms: number }
  | { do: 'rebind'; destination: Destination };

const outcomes = fc.oneof(
  { weight: 4, arbitrary: fc.constant<BridgeOutcome>({ kind: 'acked' }) },
  { weight: 1, arbitrary: fc.constantFrom(...failures).map((text): BridgeOutcome => ({ kind: 'ended', text })) },
  { weight: 1, arbitrary: fc.constant('lost' as const) },
);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('write' as const),
      what: fc.constantFrom('text' as const, 'text', 'text', 'image', 'blank', 'code', 'word'),
      settledFirst: fc.constantFrom(null, null, null, true, false),
      afterMs: fc.constantFrom(0, 0, 0, 1_000, 7_000, 70_000),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('settle' as const), which: fc.nat(), consumed: fc.boolean() }) },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('outcome' as const),
      outcome: outcomes,
      older: fc.constantFrom(0, 0, 0, 0, 1, 2),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('answer' as const),
      which: fc.nat(3),
      answer: fc.constantFrom('answered' as const, 'answered', 'answered', 'failed', 'timeout'),
    }),
  },
  { weight: 8, arbitrary: fc.record({ do: fc.constant('deliver' as const), which: fc.nat() }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('redeliver' as const), which: fc.nat() }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('pass' as const),
      ms: fc.constantFrom(500, 10_000, 26_000, 181_000, 26 * 3_600_000),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('rebind' as const),
      destination: fc.constantFrom(running, running, stopped, unbound),
    }),
  },
);

/** Plays the steps. Events about calls, answers and holds are delivered in any order, some of them more than once. */
function play(steps: readonly Step[]) {
  const world = createConversationWorld();
  const pool: ConversationEvent[] = [];
  const delivered: ConversationEvent[] = [];
  const consumed = new Set<string>();
  const settledItems = new Map<string, boolean>();
  const callIds: string[] = [];
  const firstAnswers = new Map<string, 'answered' | FailureText>();
  let written = 0;

  const deliver = (event: ConversationEvent) => {
    delivered.push(event);
    if (event.type === 'bridge.answered' && !firstAnswers.has(event.answer.msgId))
      firstAnswers.set(event.answer.msgId, outcomeOf(event.answer));
    world.deliver(event);
    const callId = world.callId();
    if (callId && !callIds.includes(callId)) callIds.push(callId);
  };
  const settlement = (msgId: string, isConsumed: boolean): ConversationEvent => {
    // Whoever decides says the same each time.
    const decided = settledItems.get(msgId) ?? isConsumed;
    settledItems.set(msgId, decided);
    if (decided) consumed.add(msgId);
    return { type: 'item.settled', id: `${msgId}:settled`, msgId, consumed: decided };
  };
  const pick = <T>(from: readonly T[], which: number): T | undefined => from[which % Math.max(1, from.length)];

  for (const now of steps) {
    switch (now.do) {
      case 'write': {
        world.pass(now.afterMs);
        const msgId = `m${written++}`;
        const decidedBy = now.what === 'code' ? 'binder' : now.what === 'word' ? 'sender' : null;
        const text = now.what === 'image' ? null : now.what === 'blank' ? ' \n ' : `text of ${msgId}`;
        const item = itemOf(msgId, world.now, {
          text,
          msgtype: now.what === 'image' ? 'image' : 'text',
          decidedBy,
          match: decidedBy === 'binder' ? 'claimed' : null,
        });
        if (decidedBy && now.settledFirst !== null) deliver(settlement(msgId, now.settledFirst));
        deliver({ type: 'customer.item', id: msgId, item });
        break;
      }
      case 'settle': {
        const held = world.items.filter(({ decidedBy }) => decidedBy !== null);
        const item = pick(held, now.which);
        if (item) pool.push(settlement(item.msgId, now.consumed));
        break;
      }
      case 'outcome': {
        const callId = callIds.at(-1 - now.older);
        if (!callId) break;
        if (now.outcome === 'lost') pool.push({ type: 'call.lost', id: `${callId}:lost`, callId });
        else pool.push({ type: 'call.settled', id: `${callId}:settled`, callId, outcome: now.outcome });
        break;
      }
      case 'answer': {
        const msgId = callIds.at(-1 - now.which)?.split('#')[0];
        if (!msgId) break;
        pool.push(answered(msgId, now.answer));
        break;
      }
      case 'deliver': {
        const event = pick(pool, now.which);
        if (!event) break;
        pool.splice(pool.indexOf(event), 1);
        deliver(event);
        break;
      }
      case 'redeliver': {
        const event = pick(delivered, now.which);
        if (!event) break;
        const isStillHeld = (id: string) =>
          world.state.entries.some((entry) => entry.status === 'hold' && entry.item.msgId === id);
        if (event.type === 'item.settled' && isStillHeld(event.msgId)) break; // forgotten, and said again
        if (event.type === 'item.settled' && !world.items.some(({ msgId }) => msgId === event.msgId)) break;
        const { turn, entries, accepted, unanswered } = world.state;
        expect(world.deliver(event)).toEqual([]);
        expect(world.state).toMatchObject({ turn, entries, accepted, unanswered });
        break;
      }
      case 'pass':
        world.pass(now.ms, now.ms < 3_600_000);
        break;
      case 'rebind':
        world.destination = now.destination;
        break;
    }
  }
  for (const event of pool.splice(0)) deliver(event);
  world.finish();
  return { world, consumed, firstAnswers };
}

test('whatever happens, a conversation keeps its order and its limits, ends every turn once and is never stuck', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120, size: 'max' }), (steps) => {
      const { world, consumed } = play(steps);
      expect(world.state).toMatchObject({ turn: null, entries: [] });
      expect(world.dueAt()).toBeNull();
      for (const { msgId, text, msgtype } of world.items) {
        const about = world.texts(msgId);
        const notices = about.filter(({ textKind }) => textKind === 'notice');
        const endings = about.filter(({ textKind, id }) => textKind === 'answer' && id !== `${msgId}:late`);
        const late = about.filter(({ id }) => id === `${msgId}:late`);
        expect(late.length).toBeLessThanOrEqual(1);
        if (world.started.includes(msgId)) expect([endings.length, notices.length]).toEqual([1, 0]);
        else if (notices[0]?.id === `${msgId}:queueFull`) expect(about).toHaveLength(1);
        else if (consumed.has(msgId)) expect(about).toEqual([]);
        else if (msgtype !== 'text') expect(about.map(({ id }) => id)).toEqual([`${msgId}:unsupported`]);
        else if (text?.trim() === '') expect(about).toEqual([]);
        else expect(about.map(({ textKind }) => textKind)).toEqual(['notice']);
      }
    }),
    { numRuns },
  );
});

test('what an answer or a failure said in time is what ends the turn, and only what comes after that is late', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60, size: 'max' }), (steps) => {
      const { world, firstAnswers } = play(steps);
      for (const [msgId, answer] of firstAnswers) {
        const keys = world.said(msgId).filter((said) => said.startsWith('answer:'));
        const expected = answer === 'answered' ? ['answer:answer', 'answer:late'] : [`answer:${answer}`];
        const isTaken = keys.some((key) => expected.includes(key));
        // An answer of more than a day after the end is recorded only, a late failure too.
        if (!isTaken) expect(keys).toHaveLength(1);
        expect(keys.filter((key) => expected.includes(key)).length).toBeLessThanOrEqual(1);
      }
    }),
    { numRuns },
  );
});
