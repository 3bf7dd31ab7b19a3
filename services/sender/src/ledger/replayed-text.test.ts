import { describe, expect, test } from '@jest/globals';
import { replayId, replayNumber } from '@pipeline/store';
import { ledgerAfterMessage, longAnswer } from '../../test/ledger-world.ts';
import { ledgerBehaviour } from '../handle-mailbox.ts';

const HOUR_MS = 3_600_000;
type World = ReturnType<typeof ledgerAfterMessage>;

/** What is left of a dead text, as the dead letters keep it and a replay brings it. */
function replay(world: World, letter = world.deadLetters().at(-1)) {
  if (letter?.kind !== 'dead-letter') throw new Error('there is no dead letter');
  const { id, textId, msgId, textKind: kind, next, parts: end } = letter;
  const { source: content, parts } = world.stored(textId) ?? { source: '', parts: [] };
  const left = parts.slice(next, end);
  const text = { textId: replayId(id, replayNumber(id) + 1), msgId, kind, decidedAt: world.now, content, parts: left };
  world.deliver({ type: 'text', id: text.textId, text });
  return left.map((part) => part.content);
}

describe('a replayed text', () => {
  test('is exactly what was left of it, under msgids that WeCom has never seen', () => {
    const world = ledgerAfterMessage();
    world.text('a', 'answer', longAnswer(3));
    world.settle();
    const refused = world.call()?.attempt.msgid;
    world.settle('blocked');
    const left = replay(world);
    expect(left).toHaveLength(2);
    world.sendAll();
    expect(world.got()).toEqual(['a.0', 'a#1~1.0', 'a#1~1.1']);
    expect(world.accepted.slice(1).map(({ content }) => content)).toEqual(left);
    expect(world.accepted.map(({ msgid }) => msgid)).not.toContain(refused);
  });

  test('goes to the end of the line, and waits for the user like any answer if nothing pays for it', () => {
    const world = ledgerAfterMessage();
    world.pass(48 * HOUR_MS);
    world.text('a', 'answer', longAnswer(2));
    world.pass(48 * HOUR_MS);
    expect(world.deadLetters()).toMatchObject([{ id: 'a#0', code: 'wait-expired', next: 0, parts: 2 }]);
    world.text('b');
    replay(world);
    expect(world.got()).toEqual([]);
    world.pass(47 * HOUR_MS);
    world.userWrites();
    world.sendAll();
    expect(world.got()).toEqual(['b.0', 'a#0~1.0', 'a#0~1.1']);
  });

  test('is found when WeCom reports one of its parts as failed', () => {
    const world = ledgerAfterMessage();
    world.text('a', 'answer', longAnswer(2));
    world.settle('blocked');
    replay(world);
    world.sendAll();
    for (const { msgid } of [...world.accepted]) expect(world.report(msgid)).toBe(true);
    world.userWrites();
    world.sendAll();
    expect(world.got()).toEqual(['a#0~1.0', 'a#0~1.1', 'a#0~1.0', 'a#0~1.1']);
    expect(new Set(world.accepted.map(({ msgid }) => msgid)).size).toBe(4);
  });

  test('of a part that WeCom reported as failed is that part alone', () => {
    const world = ledgerAfterMessage();
    world.text('a', 'answer', longAnswer(3));
    world.sendAll();
    world.report(world.accepted[1]?.msgid ?? '', 12);
    const left = replay(world);
    expect(left).toEqual([world.accepted[1]?.content]);
    world.sendAll();
    expect(world.got()).toEqual(['a.0', 'a.1', 'a.2', 'a#1~1.0']);
  });
});

describe('a replayed text that dies again', () => {
  test('is its letter again if it is the same parts, and a letter of its own if some were sent', () => {
    const world = ledgerAfterMessage();
    world.text('a', 'answer', longAnswer(4));
    world.settle();
    world.settle('blocked');
    replay(world);
    world.settle('blocked');
    replay(world);
    world.settle();
    world.settle('blocked');
    const left = replay(world);
    expect(world.deadLetters().map(({ id }) => id)).toEqual(['a#1', 'a#1~1', 'a#2~2']);
    expect(left).toHaveLength(2);
    world.sendAll();
    expect(world.got()).toEqual(['a.0', 'a#1~2.0', 'a#2~3.0', 'a#2~3.1']);
  });

  test('is a letter for each part that WeCom reported as failed', () => {
    const world = ledgerAfterMessage();
    world.text('a', 'answer', longAnswer(3));
    world.settle('blocked');
    replay(world);
    world.sendAll();
    for (const { msgid } of [...world.accepted]) world.report(msgid, 12);
    expect(world.deadLetters().map(({ id }) => id)).toEqual(['a#0', 'a#0~1', 'a#1~1', 'a#2~1']);
  });
});

test('a replay that goes out again later is never taken for a newer text that need not be looked up', () => {
  const { deduplication } = ledgerBehaviour({ allowance: 5, reserve: 3, windowMs: 48 * HOUR_MS });
  const at = (textId: string, decidedAt: number) =>
    deduplication({ type: 'text', id: textId, text: { textId, msgId: 'm', kind: 'answer', decidedAt, content: '' } });
  expect(at('m:answer~1', 2_000)).toEqual(at('m:answer~1', 1_000));
  expect(at('m:answer', 1_000)).toEqual({ id: 'm:answer', time: 1_000 });
});

test('what became of an item also holds for its replay', () => {
  const world = ledgerAfterMessage();
  world.pass(48 * HOUR_MS);
  world.text('a');
  expect(world.userSaysMore()).toBe(true);
  const [settled] = world.effects.filter((effect) => effect.kind === 'settled');
  world.deliver({ type: 'settlement.asked', id: 'asked', msgId: `${settled?.msgId}~1` });
  expect(world.effects.at(-1)).toMatchObject({ kind: 'settled', msgId: `${settled?.msgId}~1`, consumed: true });
});
