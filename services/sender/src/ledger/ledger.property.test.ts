import { expect, test } from '@jest/globals';
import { renewalBy, type TextKind } from '@pipeline/contracts';
import fc from 'fast-check';
import { type Accepted, createLedgerWorld, type World } from '../../test/ledger-world.ts';
import type { Fate, Wecom } from '../../test/wecom-model.ts';
import { splitText } from '../text/split-text.ts';
import { sentContent } from './affordable.ts';
import type { LedgerEvent } from './ledger-state.ts';

const numRuns = Number(process.env.PROPERTY_RUNS ?? 500);
const HOUR_MS = 3_600_000;

type Step =
  | { do: 'write'; isWord: boolean; isDelayed: boolean }
  | { do: 'poll' }
  | { do: 'text'; kind: TextKind; bytes: number; about: number; expected?: number; tellsOfUnread: boolean }
  | { do: 'call'; fate: Fate }
  | { do: 'report'; which: number; failType: number }
  | { do: 'redeliver'; which: number }
  | { do: 'pass'; ms: number };

const trouble: Fate[] = [
  'lost before',
  'lost behind',
  'crash before',
  'crash behind',
  'paused',
  'busy',
  'closed',
  'misconfigured',
];
const write = fc.record({ do: fc.constant('write' as const), isWord: fc.boolean(), isDelayed: fc.boolean() });
const text = fc.record({
  do: fc.constant('text' as const),
  kind: fc.constantFrom<TextKind>('answer', 'answer', 'courtesy', 'notice'),
  bytes: fc.constantFrom(20, 20, 2030, 2048, 3000, 4090, 7000, 13_000),
  about: fc.nat(3),
  expected: fc.nat(3),
  tellsOfUnread: fc.boolean(),
});
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: write },
  { weight: 3, arbitrary: fc.constant<Step>({ do: 'poll' }) },
  { weight: 5, arbitrary: text },
  { weight: 9, arbitrary: fc.constant<Step>({ do: 'call', fate: 'answered' }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constant('call' as const), fate: fc.constantFrom(...trouble) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('report' as const),
      which: fc.nat(4),
      failType: fc.constantFrom(0, 4, 5, 6, 11, 13),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('redeliver' as const), which: fc.nat() }) },
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant('pass' as const), ms: fc.constantFrom(500, 2_000, 5_000, 61_000, HOUR_MS) }),
  },
);
const ends: fc.Arbitrary<Step> = fc.oneof(
  { weight: 20, arbitrary: step },
  { weight: 1, arbitrary: fc.constant<Step>({ do: 'call', fate: 'blocked' }) },
  { weight: 1, arbitrary: fc.constant<Step>({ do: 'pass', ms: 49 * HOUR_MS }) },
);
const wecoms: fc.Arbitrary<Wecom> = fc.record({
  checksFirst: fc.constantFrom('msgid' as const, 'allowance' as const),
  burnsMsgids: fc.boolean(),
});

interface Told {
  textId: string;
  kind: TextKind;
  content: string;
}

interface Story {
  world: World;
  /** In the order decided. */
  told: Told[];
  /** Reported as failed, by `<text id>.<part>`. */
  reported: Map<string, number>;
}

const contentOf = (textId: string, bytes: number): string => {
  let content = textId;
  for (let word = 0; content.length < bytes; word++) content += word % 7 === 6 ? `. ${textId}-${word}` : ` ${word}`;
  return content.slice(0, bytes).trim();
};

/** An ordinary message of which the sender hasn't heard: a text may tell it. */
function takeUnread(unread: LedgerEvent[]) {
  const next = unread[0];
  if (next?.type !== 'customer.item' || next.item.decidedBy !== null) return undefined;
  unread.shift();
  return { msgId: next.item.msgId, renewal: renewalBy(next.item) };
}

function play(steps: readonly Step[], wecom: Wecom): Story {
  const world = createLedgerWorld(wecom);
  const told: Told[] = [];
  const reported = new Map<string, number>();
  const reportedMsgids = new Set<string>();
  const unread: LedgerEvent[] = [];
  const delivered: LedgerEvent[] = [];
  const deliver = (event: LedgerEvent) => {
    delivered.push(event);
    world.deliver(event);
  };
  for (const now of steps) {
    switch (now.do) {
      case 'write':
        unread.push(world.write(now.isWord ? { decidedBy: 'sender', text: '继续' } : {}));
        if (!now.isDelayed) for (const event of unread.splice(0)) deliver(event);
        break;
      case 'poll':
        for (const event of unread.splice(0)) deliver(event);
        break;
      case 'text': {
        const textId = `t${told.length}`;
        const content = contentOf(textId, now.kind === 'answer' ? now.bytes : Math.min(now.bytes, 2048));
        const { kind, expected } = now;
        told.push({ textId, kind, content });
        const about = { msgId: `m${now.about}`, ...(now.tellsOfUnread && takeUnread(unread)) };
        const text = { textId, kind, decidedAt: world.now, content, expected, ...about };
        deliver({ type: 'text', id: textId, text });
        break;
      }
      case 'call':
        world.settle(now.fate);
        break;
      case 'report': {
        const accepted = world.accepted.at(-1 - now.which);
        if (!accepted || reportedMsgids.has(accepted.msgid)) break;
        reportedMsgids.add(accepted.msgid);
        const place = `${accepted.textId}.${accepted.part}`;
        reported.set(place, (reported.get(place) ?? 0) + 1);
        const id = `fail-${accepted.msgid}`;
        deliver({
          type: 'msg_send_fail',
          id,
          failure: { msgId: id, failMsgid: accepted.msgid, failType: now.failType },
        });
        break;
      }
      case 'redeliver': {
        const event = delivered[now.which % Math.max(1, delivered.length)];
        world.wake(); // What is due anyway is not the doing of that event.
        if (event) expect(world.deliver(event)).toBe(false);
        break;
      }
      case 'pass':
        world.pass(now.ms);
        break;
    }
  }
  for (const event of unread.splice(0)) deliver(event);
  world.finish();
  return { world, told, reported };
}

const withoutMore = ({ content, hasMore }: Accepted): string =>
  hasMore ? content.slice(0, content.length - sentContent('', true).length) : content;
const squeeze = (content: string): string => content.replace(/\s+/g, '');

function checkStory({ world, told, reported }: Story) {
  const places = world.accepted.map(({ textId, part }) => `${textId}.${part}`);
  const times = Map.groupBy(places, (place) => place);
  for (const [place, { length }] of times) {
    if (length > 1 + (reported.get(place) ?? 0)) throw new Error(`${place} reached the user ${length} times`);
  }
  const order = told.map(({ textId }) => textId);
  const firsts = world.accepted.filter(({ textId, part }, i) => places.indexOf(`${textId}.${part}`) === i);
  for (const [i, { textId, part }] of firsts.entries()) {
    const before = firsts[i - 1];
    if (!before) continue;
    const isBehind = order.indexOf(before.textId) - order.indexOf(textId) || before.part - part;
    if (isBehind > 0) throw new Error(`${textId}.${part} came behind ${before.textId}.${before.part}`);
  }
  for (const { textId, kind, content } of told) {
    const deadLetters = world.deadLetters().filter((effect) => effect.textId === textId);
    for (const { code } of deadLetters) expect(code).toMatch(/^(wecom-40201|wait-expired|fail-type-\d+)$/);
    if (kind !== 'answer' || deadLetters.length > 0) continue;
    const parts = firsts.filter((accepted) => accepted.textId === textId);
    expect(squeeze(parts.map(withoutMore).join(''))).toBe(squeeze(content));
    expect(parts.map(withoutMore)).toEqual(world.stored(textId)?.parts.map((part) => part.content));
    if (!world.splitAnew.has(textId)) expect(parts.map(withoutMore)).toEqual(splitText(content));
    for (const { part } of parts) {
      const place = `${textId}.${part}`;
      expect(times.get(place)).toHaveLength(1 + (reported.get(place) ?? 0));
    }
  }
}

test('whatever WeCom does, every answer reaches the user once and in order while the user keeps writing', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 70, size: 'max' }), wecoms, (steps, wecom) => {
      const story = play(steps, wecom);
      checkStory(story);
      const codes = story.world.deadLetters().map(({ code }) => code);
      for (const code of codes) expect(code).toMatch(/^fail-type/);
      expect(story.world.state).toMatchObject({ queue: [], attempt: null });
      expect(story.world.dueAt()).toBeNull();
    }),
    { numRuns },
  );
});

test('an answer is given up only for a permanent refusal, after 48 hours without a word, or when it keeps failing', () => {
  fc.assert(
    fc.property(fc.array(ends, { maxLength: 70, size: 'max' }), wecoms, (steps, wecom) => {
      checkStory(play(steps, wecom));
    }),
    { numRuns },
  );
});

test('without trouble WeCom never has to refuse a send', () => {
  const calm = fc.oneof(
    { weight: 3, arbitrary: write.map((step): Step => ({ ...step, isDelayed: false })) },
    { weight: 3, arbitrary: text },
    { weight: 1, arbitrary: fc.constantFrom<Step>({ do: 'pass', ms: 5_000 }, { do: 'pass', ms: 47 * HOUR_MS }) },
  );
  fc.assert(
    fc.property(fc.array(calm, { maxLength: 40, size: 'max' }), wecoms, (steps, wecom) => {
      const sends = Array.from({ length: 8 }, (): Step => ({ do: 'call', fate: 'answered' }));
      const { world } = play(
        steps.flatMap((step) => [step, ...sends]),
        wecom,
      );
      expect(world.refusedWith).toEqual([]);
    }),
    { numRuns },
  );
});
