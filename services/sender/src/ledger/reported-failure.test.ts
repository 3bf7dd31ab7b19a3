import { describe, expect, test } from '@jest/globals';
import { type createLedgerWorld, ledgerAfterMessage, longAnswer, settings } from '../../test/ledger-world.ts';

const HOUR_MS = 3_600_000;

describe('a failure that WeCom reports', () => {
  const sentTo = (world: ReturnType<typeof createLedgerWorld>, place: number) => world.accepted[place]?.msgid ?? '';

  test('lets the part wait for the user’s next message, though sends are left', () => {
    const world = ledgerAfterMessage();
    world.text('a');
    world.sendAll();
    world.report(sentTo(world, 0));
    expect(world.call()).toBeNull();
    expect(world.state.queue).toMatchObject([{ textId: 'a', generation: 1, waitingSince: world.now }]);
    expect(world.dueAt()).toBe(world.now + settings.windowMs);
    expect(world.userSaysMore()).toBe(true);
    world.sendAll();
    expect(world.got()).toEqual(['a.0', 'a.0']);
  });

  test('reported again changes nothing, before and after the part was sent anew', () => {
    const world = ledgerAfterMessage();
    world.text('a');
    world.sendAll();
    const msgid = sentTo(world, 0);
    world.report(msgid);
    expect(world.report(msgid)).toBe(false);
    world.userWrites();
    world.sendAll();
    expect(world.report(msgid)).toBe(false);
    expect(world.got()).toEqual(['a.0', 'a.0']);
  });

  test('of a msgid that isn’t ours changes nothing', () => {
    const world = ledgerAfterMessage();
    expect(world.report('somebody-elses')).toBe(false);
  });

  test('of notices and courtesy is counted, nothing more', () => {
    const world = ledgerAfterMessage();
    world.text('n', 'notice');
    world.sendAll();
    world.report(sentTo(world, 0));
    expect(world.state.queue).toEqual([]);
    expect(world.counts).toContain('notice-failed');
  });

  test('puts the part before whatever was not accepted yet, the rest of its own text included', () => {
    const world = ledgerAfterMessage();
    world.text('a', 'answer', longAnswer(4));
    world.text('b');
    world.settle();
    world.settle();
    world.report(sentTo(world, 0));
    world.settle(); // a.2 was under way
    expect(world.call()).toBeNull();
    world.userWrites();
    world.sendAll();
    expect(world.got()).toEqual(['a.0', 'a.1', 'a.2', 'a.0', 'a.3', 'b.0']);
  });

  test('of several parts keeps their order, in whatever order it is reported', () => {
    const world = ledgerAfterMessage();
    world.text('a', 'answer', longAnswer(3));
    world.text('b');
    world.sendAll();
    for (const place of [3, 1, 0, 2]) world.report(sentTo(world, place));
    world.userWrites();
    world.sendAll();
    expect(world.got().slice(4)).toEqual(['b.0', 'a.0', 'a.1', 'a.2']);
  });

  test('a third time is a dead letter with its reason', () => {
    const world = ledgerAfterMessage();
    world.text('a', 'answer', longAnswer(2));
    world.sendAll();
    for (let i = 0; i < 3; i++) {
      world.report(world.accepted.findLast(({ part }) => part === 0)?.msgid ?? '', 6);
      world.userWrites();
      world.sendAll();
    }
    expect(world.got()).toEqual(['a.0', 'a.1', 'a.0', 'a.0']);
    expect(world.deadLetters()).toMatchObject([{ textId: 'a', code: 'fail-type-6' }]);
  });

  test.each([1, 2, 8, 10, 12, 13])('of type %i is a dead letter at once', (failType) => {
    const world = ledgerAfterMessage();
    world.text('a');
    world.sendAll();
    world.report(sentTo(world, 0), failType);
    expect(world.deadLetters()).toMatchObject([{ textId: 'a', code: `fail-type-${failType}` }]);
    expect(world.state.queue).toEqual([]);
  });

  test('of a part whose acceptance we never heard of sends it anew once, not twice', () => {
    for (const checksFirst of ['msgid', 'allowance'] as const) {
      const world = ledgerAfterMessage({ checksFirst, burnsMsgids: false });
      world.text('a', 'answer', longAnswer(2));
      world.settle('lost behind');
      world.report(sentTo(world, 0));
      expect(world.state.queue.map(({ next, generation }) => [next, generation])).toEqual([
        [0, 1],
        [1, 0],
      ]);
      world.finish();
      expect(world.got()).toEqual(['a.0', 'a.0', 'a.1']);
    }
  });

  test('of a part that waits, its acceptance unheard of, sends it anew once', () => {
    const world = ledgerAfterMessage({ checksFirst: 'allowance', burnsMsgids: false });
    world.text('a', 'answer', longAnswer(5));
    for (let i = 0; i < 4; i++) world.settle();
    world.settle('lost behind');
    world.pass(1_000);
    world.settle();
    world.report(sentTo(world, 4));
    world.finish();
    expect(world.got()).toEqual(['a.0', 'a.1', 'a.2', 'a.3', 'a.4', 'a.4']);
  });

  test('is given up when the user doesn’t write for 48 hours', () => {
    const world = ledgerAfterMessage();
    world.text('a');
    world.sendAll();
    world.report(sentTo(world, 0));
    world.pass(48 * HOUR_MS);
    expect(world.deadLetters()).toMatchObject([{ textId: 'a', code: 'wait-expired' }]);
    expect(world.state.queue).toEqual([]);
  });
});
