import { describe, expect, test } from '@jest/globals';
import { createLedgerWorld, ledgerAfterMessage, longAnswer, settings } from '../../test/ledger-world.ts';

const HOUR_MS = 3_600_000;
/** Fills a part so that `more` doesn't fit behind it. */
const full = 'x'.repeat(2048);

describe('the allowance', () => {
  test('what five sends don’t cover waits, and the last one says so', () => {
    const world = ledgerAfterMessage();
    world.text('a', 'answer', longAnswer(7));
    world.sendAll();
    expect(world.got()).toEqual(['a.0', 'a.1', 'a.2', 'a.3', 'a.4+']);
    expect(world.accepted.at(-1)?.content).toMatch(/\n\(内容较长,回复“继续”查看剩余部分\)$/);
    world.userWrites();
    world.sendAll();
    expect(world.got().slice(5)).toEqual(['a.5', 'a.6']);
  });

  test('a part without room for it is cut shorter, so that “more” fits, and nothing is lost', () => {
    const world = ledgerAfterMessage();
    world.text('a', 'answer', full.repeat(6));
    world.sendAll();
    expect(world.got()).toEqual(['a.0', 'a.1', 'a.2', 'a.3', 'a.4+']);
    world.userWrites();
    world.sendAll();
    const [last = ''] = world.accepted[4]?.content.split('\n') ?? [];
    const got = world.accepted.map(({ content }, i) => (i === 4 ? last : content)).join('');
    expect(got).toBe(full.repeat(6));
  });

  test('a text that comes when one send is left and doesn’t fit into it is cut from what it brought along', () => {
    const world = ledgerAfterMessage();
    for (const textId of ['a', 'b', 'c', 'd']) world.text(textId);
    world.sendAll();
    world.text('e', 'answer', full.repeat(2));
    expect(world.call()?.attempt).toMatchObject({ textId: 'e', withMore: true });
    expect(world.deadLetters()).toEqual([]);
    world.finish();
    expect(world.got()).toEqual(['a.0', 'b.0', 'c.0', 'd.0', 'e.0+', 'e.1', 'e.2']);
  });

  test('an answer that fits exactly says nothing of more', () => {
    const world = ledgerAfterMessage();
    world.text('a', 'answer', longAnswer(5));
    world.sendAll();
    expect(world.got()).toEqual(['a.0', 'a.1', 'a.2', 'a.3', 'a.4']);
  });

  test('the rest comes before anything else', () => {
    const world = ledgerAfterMessage();
    world.text('a', 'answer', longAnswer(6));
    world.sendAll();
    world.text('b');
    world.userWrites();
    world.text('notice', 'notice');
    world.sendAll();
    expect(world.got().slice(5)).toEqual(['a.5', 'b.0', 'notice.0']);
  });

  test('answers wait for the next message; notices and courtesy are dropped and counted', () => {
    const world = createLedgerWorld();
    world.text('notice', 'notice');
    world.text('thinking', 'courtesy');
    world.text('a');
    expect(world.state.queue.map(({ textId }) => textId)).toEqual(['a']);
    expect(world.counts).toEqual(['notice-skipped', 'courtesy-skipped']);
    expect(world.dueAt()).toBe(world.now + settings.windowMs);
  });

  test('a notice or courtesy that comes while an answer waits is dropped, not sent before it', () => {
    const world = createLedgerWorld();
    world.text('a');
    world.text('notice', 'notice');
    world.text('b');
    expect(world.state.queue.map(({ textId }) => textId)).toEqual(['a', 'b']);
  });

  test('courtesy leaves three sends', () => {
    const world = ledgerAfterMessage();
    world.text('c1', 'courtesy');
    world.sendAll();
    world.text('c2', 'courtesy');
    world.text('c3', 'courtesy');
    world.sendAll();
    expect(world.got()).toEqual(['c1.0', 'c2.0']);
    expect(world.counts).toContain('courtesy-skipped');
  });

  test('48 hours after the user’s message nothing is sent any more', () => {
    const world = ledgerAfterMessage();
    world.pass(48 * HOUR_MS);
    world.text('a');
    expect(world.call()).toBeNull();
    expect(world.refusedWith).toEqual([]);
  });

  test('every waiting answer is given up 48 hours after it began to wait, each by itself', () => {
    const world = createLedgerWorld();
    world.text('a');
    world.pass(HOUR_MS);
    world.text('b');
    world.pass(47 * HOUR_MS);
    expect(world.deadLetters().map(({ textId, code }) => [textId, code])).toEqual([['a', 'wait-expired']]);
    world.pass(HOUR_MS);
    expect(world.deadLetters().map(({ textId }) => textId)).toEqual(['a', 'b']);
    expect(world.dueAt()).toBeNull();
  });
});

describe('courtesy', () => {
  test('is dropped at 60 s of age', () => {
    const world = ledgerAfterMessage();
    world.text('a');
    world.text('thinking', 'courtesy');
    world.now += 60_000;
    world.sendAll();
    expect(world.got()).toEqual(['a.0']);
    expect(world.counts).toContain('courtesy-stale');
  });

  test('is dropped once the answer about the same message is here', () => {
    const world = ledgerAfterMessage();
    world.text('a');
    world.text('thinking', 'courtesy', 'x', 'm1');
    world.text('queued', 'courtesy', 'x', 'm2');
    world.text('answer', 'answer', 'x', 'm1');
    world.sendAll();
    expect(world.got()).toEqual(['a.0', 'queued.0', 'answer.0']);
  });

  test('whose send is under way when its answer comes is let be', () => {
    const world = ledgerAfterMessage();
    world.text('thinking', 'courtesy', 'x', 'm1');
    world.text('answer', 'answer', 'x', 'm1');
    world.sendAll();
    expect(world.got()).toEqual(['thinking.0', 'answer.0']);
  });

  test('whose send was refused gives way to its answer at once, and has cost nothing', () => {
    const world = ledgerAfterMessage();
    world.text('thinking', 'courtesy', 'x', 'm1');
    world.settle('busy');
    world.text('answer', 'answer', longAnswer(5), 'm1');
    expect(world.call()?.attempt.textId).toBe('answer');
    world.sendAll();
    expect(world.got()).toEqual(['answer.0', 'answer.1', 'answer.2', 'answer.3', 'answer.4']);
  });

  test('whose send is refused after its answer came is not tried again', () => {
    const world = ledgerAfterMessage();
    world.text('thinking', 'courtesy', 'x', 'm1');
    world.text('answer', 'answer', 'x', 'm1');
    world.settle('busy');
    expect(world.call()?.attempt.textId).toBe('answer');
    world.sendAll();
    expect(world.got()).toEqual(['answer.0']);
  });

  test('that may still get through is settled before its answer is sent, lest it come behind', () => {
    const world = ledgerAfterMessage();
    world.text('thinking', 'courtesy', 'x', 'm1');
    world.settle('lost before');
    world.text('answer', 'answer', longAnswer(5), 'm1');
    expect(world.call()).toBeNull();
    world.pass(1_000);
    world.sendAll();
    expect(world.got()).toEqual(['thinking.0', 'answer.0', 'answer.1', 'answer.2', 'answer.3+']);
    expect(world.refusedWith).toEqual([]);
  });

  test('whose last try had no answer for half a minute gives way, and counts as sent', () => {
    const world = ledgerAfterMessage();
    world.text('thinking', 'courtesy', 'x', 'm1');
    world.settle('lost behind');
    world.now += 30_000;
    world.text('answer', 'answer', longAnswer(5), 'm1');
    world.sendAll();
    expect(world.got()).toEqual(['thinking.0', 'answer.0', 'answer.1', 'answer.2', 'answer.3+']);
  });

  test('in retry grows stale as well', () => {
    const world = ledgerAfterMessage();
    world.text('thinking', 'courtesy');
    for (let i = 0; i < 8; i++) {
      world.settle('busy');
      world.pass(32_000);
    }
    expect(world.state).toMatchObject({ queue: [], attempt: null });
    expect(world.got()).toEqual([]);
  });
});
