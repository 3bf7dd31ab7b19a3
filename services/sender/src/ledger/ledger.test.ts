import { describe, expect, test } from '@jest/globals';
import { renewalBy } from '@pipeline/contracts';
import { createLedgerWorld, ledgerAfterMessage, longAnswer, userKey, type World } from '../../test/ledger-world.ts';
import type { LedgerEvent } from './ledger-state.ts';
import { msgidOf } from './msgid.ts';

const answer = (textId: string) => ({ textId, msgId: `about-${textId}`, kind: 'answer' as const, content: textId });

describe('sending', () => {
  test('texts go out in the order decided, one part in flight', () => {
    const world = ledgerAfterMessage();
    world.text('a', 'answer', longAnswer(2));
    world.text('b');
    expect(world.call()?.attempt).toMatchObject({ textId: 'a', part: 0, msgid: msgidOf(userKey, 'a', 0, 0) });
    world.settle();
    expect(world.call()?.attempt).toMatchObject({ textId: 'a', part: 1 });
    world.sendAll();
    expect(world.got()).toEqual(['a.0', 'a.1', 'b.0']);
    expect(world.dueAt()).toBeNull();
  });

  test('a text is cleaned', () => {
    const world = ledgerAfterMessage();
    world.text('a', 'answer', '  boom at /srv/x.js:1:2 \n');
    world.sendAll();
    expect(world.accepted).toMatchObject([{ content: 'boom' }]);
  });

  test('the exact bytes of a long text are stored before it is sent', () => {
    const world = ledgerAfterMessage();
    world.text('a', 'answer', longAnswer(2));
    expect(world.stored('a')?.parts).toHaveLength(2);
  });

  test('a short text stands in the ledger, and is stored when it leaves the queue', () => {
    const world = ledgerAfterMessage();
    world.text('a', 'answer', 'boom');
    expect(world.stored('a')).toBeNull();
    world.sendAll();
    const [sent] = world.accepted;
    expect(world.stored('a')).toMatchObject({ source: 'boom', parts: [{ content: 'boom' }], msgids: [sent?.msgid] });
  });

  test('a text taken twice is sent once', () => {
    const world = ledgerAfterMessage();
    world.text('a');
    expect(world.text('a')).toBe(false);
    world.sendAll();
    expect(world.text('a')).toBe(false);
    expect(world.got()).toEqual(['a.0']);
  });
});

describe('a text that tells of the message it is about', () => {
  const tellOf = (world: World, textId: string, item: LedgerEvent) => {
    if (item.type !== 'customer.item') throw new Error('no message');
    const { msgId } = item.item;
    return world.tell({ textId, msgId, kind: 'courtesy', content: textId, renewal: renewalBy(item.item) });
  };

  test('is paid for by it', () => {
    const world = createLedgerWorld();
    tellOf(world, 'thinking', world.write());
    world.sendAll();
    expect(world.got()).toEqual(['thinking.0']);
    expect(world.state.allowance).toMatchObject({ remaining: 4, renewals: 1 });
  });

  test('comes behind what has waited for the user to write', () => {
    const world = ledgerAfterMessage();
    world.text('a', 'answer', longAnswer(6));
    world.sendAll();
    tellOf(world, 'thinking', world.write());
    world.sendAll();
    expect(world.got().slice(-2)).toEqual(['a.5', 'thinking.0']);
  });

  test('renews nothing if another one told of it before, or ingest', () => {
    const world = createLedgerWorld();
    const first = world.write();
    const second = world.write();
    tellOf(world, 'thinking 1', first);
    tellOf(world, 'queued 2', second);
    world.sendAll();
    world.deliver(first);
    tellOf(world, 'thinking 2', second);
    expect(world.state.allowance).toMatchObject({ renewals: 2 });
  });
});

describe('a continuation word', () => {
  test('is consumed while the rest of an answer waits, and opens the allowance for it', () => {
    const world = ledgerAfterMessage();
    world.text('a', 'answer', longAnswer(6));
    world.sendAll();
    expect(world.userSaysMore()).toBe(true);
    world.sendAll();
    expect(world.got().at(-1)).toBe('a.5');
  });

  test('is an ordinary message when nothing waits', () => {
    const world = ledgerAfterMessage();
    expect(world.userSaysMore()).toBe(false);
    world.text('a');
    expect(world.userSaysMore()).toBe(false);
    world.settle('busy');
    expect(world.userSaysMore()).toBe(false);
  });

  test('is consumed while an answer is expected that the last text told of, and is an ordinary message once it is here', () => {
    const world = ledgerAfterMessage();
    for (const textId of ['a', 'b', 'c', 'd', 'e']) world.tell({ ...answer(textId), expected: 1 });
    world.sendAll();
    expect(world.got().at(-1)).toBe('e.0+');
    expect(world.userSaysMore()).toBe(true);
    // Again: it is still the same answer that the user waits for.
    expect(world.userSaysMore()).toBe(true);
    world.tell({ ...answer('f'), expected: 0 });
    world.sendAll();
    expect(world.got().at(-1)).toBe('f.0');
    expect(world.userSaysMore()).toBe(false);
  });

  test('is consumed also after a text that doesn’t tell how many answers are expected, as a binding’s', () => {
    const world = ledgerAfterMessage();
    world.tell({ ...answer('a'), expected: 1 });
    for (const textId of ['b', 'c', 'd', 'e']) world.tell(answer(textId));
    world.sendAll();
    expect(world.got().at(-1)).toBe('e.0+');
    expect(world.userSaysMore()).toBe(true);
  });

  test('is consumed also when the user read “more” before we heard that it was accepted', () => {
    const world = ledgerAfterMessage();
    world.text('a', 'answer', longAnswer(6));
    for (let i = 0; i < 4; i++) world.settle();
    world.settle('lost behind');
    expect(world.userSaysMore()).toBe(true);
    world.finish();
    expect(world.got().slice(4)).toEqual(['a.4+', 'a.5']);
  });

  test('is answered the same when asked again; one never heard of is an ordinary message', () => {
    const world = createLedgerWorld();
    world.text('a');
    expect(world.userSaysMore()).toBe(true);
    world.deliver({ type: 'settlement.asked', id: 'm0:ask:0', msgId: 'm0' });
    world.deliver({ type: 'settlement.asked', id: 'mX:ask:0', msgId: 'mX' });
    expect(world.effects.map((effect) => effect.kind === 'settled' && [effect.msgId, effect.consumed])).toEqual([
      ['m0', true],
      ['m0', true],
      ['mX', false],
    ]);
    expect(new Set(world.effects.map(({ id }) => id)).size).toBe(3);
  });
});

test('a text whose stored bytes are gone is a dead letter when they are needed, and what is behind it goes on', () => {
  const world = ledgerAfterMessage();
  for (const textId of ['a', 'b', 'c', 'd']) world.text(textId);
  world.text('e', 'answer', longAnswer(2));
  world.text('f');
  world.forget('e');
  world.sendAll();
  expect(world.deadLetters()).toMatchObject([{ textId: 'e', code: 'delivery-missing' }]);
  expect(world.got()).toEqual(['a.0', 'b.0', 'c.0', 'd.0', 'f.0']);
});
