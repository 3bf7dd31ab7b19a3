// Nothing is withheld in silence: whoever has an answer waiting was told so by the last thing they got.
import { expect, test } from '@jest/globals';
import { renewalBy, type TextKind } from '@pipeline/contracts';
import fc from 'fast-check';
import { createLedgerWorld, type World } from '../../test/ledger-world.ts';
import type { Fate, Wecom } from '../../test/wecom-model.ts';
import { hasRoomForMore } from './affordable.ts';

const numRuns = Number(process.env.PROPERTY_RUNS ?? 500);
const HOUR_MS = 3_600_000;

type Step =
  | { do: 'ask'; times: number }
  | { do: 'continue' }
  | { do: 'answer'; bytes: number }
  | { do: 'say'; kind: 'notice' | 'courtesy' }
  | { do: 'call'; fate: Fate }
  | { do: 'report'; failType: number }
  | { do: 'pass'; ms: number };

const trouble: Fate[] = ['lost before', 'lost behind', 'crash before', 'crash behind', 'paused', 'busy', 'closed'];
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 2, arbitrary: fc.record({ do: fc.constant('ask' as const), times: fc.integer({ min: 1, max: 6 }) }) },
  { weight: 2, arbitrary: fc.constant<Step>({ do: 'continue' }) },
  {
    weight: 8,
    arbitrary: fc.record({ do: fc.constant('answer' as const), bytes: fc.constantFrom(20, 20, 2048, 4090, 13_000) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('say' as const),
      kind: fc.constantFrom<'notice' | 'courtesy'>('notice', 'courtesy'),
    }),
  },
  { weight: 20, arbitrary: fc.constant<Step>({ do: 'call', fate: 'answered' }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('call' as const), fate: fc.constantFrom(...trouble) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('report' as const), failType: fc.constantFrom(0, 5, 13) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('pass' as const),
      ms: fc.constantFrom(500, 5_000, 5_000, 61_000, 49 * HOUR_MS),
    }),
  },
);
const wecoms: fc.Arbitrary<Wecom> = fc.record({
  checksFirst: fc.constantFrom('msgid' as const, 'allowance' as const),
  burnsMsgids: fc.boolean(),
});

/** One user and the conversation about them, which tells with every text how many answers are still to come. */
function createTeller(world: World) {
  let asked = 0;
  let texts = 0;
  const open: string[] = [];
  const say = (kind: TextKind, msgId: string, content: string, fields = {}) =>
    world.tell({ textId: `t${texts++}`, msgId, kind, content, expected: open.length, ...fields });
  return {
    isOwing: () => open.length > 0,
    ask() {
      const item = world.write();
      if (item.type !== 'customer.item') return;
      const msgId = `q${asked++}`;
      open.push(msgId);
      say('courtesy', msgId, 'thinking', { renewal: renewalBy(item.item) });
    },
    answer(bytes: number) {
      const msgId = open.shift();
      if (msgId !== undefined) say('answer', msgId, 'word '.repeat(Math.ceil(bytes / 5)).slice(0, bytes));
    },
    say: (kind: 'notice' | 'courtesy') => void say(kind, 'other', kind),
  };
}

/**
 * What we can't know before the last send: that WeCom grants less than five, or closed the conversation; that it fails
 * afterwards what it had accepted; that 48 hours pass. And a part whose bytes WeCom may have seen isn't cut anew to make
 * room for `more`.
 */
function createExcuses(world: World) {
  let isExcused = false;
  let renewals = 0;
  /** msgids of parts offered before, under whichever msgid. */
  const offeredTwice = new Set<string>();
  return {
    look() {
      const { attempt } = world.state;
      if (attempt && (attempt.generation > 0 || attempt.tries > 1)) offeredTwice.add(attempt.msgid);
      const { allowance, queue } = world.state;
      if (allowance.renewals !== renewals) isExcused = false;
      renewals = allowance.renewals;
      const isRefused = world.counts.includes('allowance-refused') || world.counts.includes('failure-reported');
      world.counts.length = 0;
      const isOver = world.now - (allowance.sendTime ?? 0) * 1_000 >= 48 * HOUR_MS;
      if (isRefused || isOver || queue.some(({ afterRenewal }) => afterRenewal >= renewals)) isExcused = true;
    },
    isExcused() {
      const last = world.accepted.at(-1);
      const hadNoRoom = last !== undefined && !last.hasMore && !hasRoomForMore(last.content);
      return isExcused || (hadNoRoom && offeredTwice.has(last.msgid));
    },
  };
}

/** Whether a continuation word would be consumed now. */
function saysMore(world: World, wecom: Wecom) {
  const copy = createLedgerWorld(wecom);
  copy.state = world.state;
  copy.now = world.now;
  return copy.userSaysMore();
}

/** @returns how often somebody waited, having been told so */
function play(steps: readonly Step[], wecom: Wecom): number {
  const world = createLedgerWorld(wecom);
  const teller = createTeller(world);
  const excuses = createExcuses(world);
  let waits = 0;
  const check = () => {
    excuses.look();
    const { queue, attempt } = world.state;
    if (attempt) return;
    const wasTold = world.accepted.at(-1)?.hasMore === true;
    const isWaiting = queue.some(({ waitingSince }) => waitingSince !== null);
    if (excuses.isExcused()) return;
    if (isWaiting) waits++;
    if (isWaiting && !wasTold) throw new Error('an answer waits, and nobody was told');
    // Whoever does as they are told isn't taken for somebody who asks the agent.
    if (isWaiting || (wasTold && teller.isOwing())) expect(saysMore(world, wecom)).toBe(true);
  };
  for (const now of steps) {
    if (now.do === 'ask') for (let times = 0; times < now.times; times++) teller.ask();
    else if (now.do === 'continue') world.userSaysMore();
    else if (now.do === 'answer') teller.answer(now.bytes);
    else if (now.do === 'say') teller.say(now.kind);
    else if (now.do === 'call') world.settle(now.fate);
    else if (now.do === 'pass') world.pass(now.ms);
    else {
      const last = world.accepted.at(-1);
      if (last) world.report(last.msgid, now.failType);
    }
    check();
  }
  return waits;
}

test('whatever comes in whatever order, nobody has an answer waiting without having been told so', () => {
  let waits = 0;
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80, size: 'max' }), wecoms, (steps, wecom) => {
      waits += play(steps, wecom);
    }),
    { numRuns },
  );
  expect(waits).toBeGreaterThan(numRuns / 50);
});
