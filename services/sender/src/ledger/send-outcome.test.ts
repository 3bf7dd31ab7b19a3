import { describe, expect, test } from '@jest/globals';
import { ledgerAfterMessage, longAnswer, userKey } from '../../test/ledger-world.ts';
import { msgidOf } from './msgid.ts';

const HOUR_MS = 3_600_000;

test('a text whose bytes are gone is given up, costs nothing, and those behind it go on', () => {
  const world = ledgerAfterMessage();
  world.text('a', 'answer', longAnswer(3));
  world.settle();
  world.text('b');
  const { id: callId = '' } = world.call() ?? {};
  world.deliver({ type: 'call.settled', id: 'x', callId, outcome: { kind: 'missing' } });
  expect(world.deadLetters()).toMatchObject([{ id: 'a#1', code: 'delivery-missing', next: 1, parts: 3 }]);
  expect(world.state.allowance.remaining).toBe(3); // the first part of one text, and the other text
  world.sendAll();
  expect(world.got()).toEqual(['a.0', 'b.0']);
});

test.each([[undefined], [[{ msgid: 'm', kind: 'notice' }]]])(
  'a ledger that was stored with %j passed goes on',
  (passed) => {
    const world = ledgerAfterMessage();
    const { recentlySent, ...earlier } = world.state;
    world.state = { ...earlier, passed } as never;
    world.text('n', 'notice');
    world.settle();
    world.report(world.accepted[0]?.msgid ?? '');
    expect(world.counts).toEqual(['notice-sent', 'notice-failed']);
  },
);

describe('a send without an answer', () => {
  test('is made again under the same msgid; “duplicate” then means that it was delivered', () => {
    const world = ledgerAfterMessage();
    world.text('a');
    const msgid = world.call()?.attempt.msgid;
    world.settle('lost behind');
    world.pass(1_000);
    expect(world.call()).toMatchObject({ id: `${msgid}#2`, attempt: { msgid } });
    world.settle();
    expect(world.refusedWith).toEqual([95033]);
    expect(world.got()).toEqual(['a.0']);
    expect(world.state.queue).toEqual([]);
  });

  test('that never got through is simply sent', () => {
    const world = ledgerAfterMessage();
    world.text('a');
    world.settle('lost before');
    world.pass(1_000);
    world.settle();
    expect(world.got()).toEqual(['a.0']);
    expect(world.refusedWith).toEqual([]);
  });

  test('is tried again after 1, 2, 4 … 60 seconds', () => {
    const world = ledgerAfterMessage();
    world.text('a');
    const waits: number[] = [];
    for (let i = 0; i < 9; i++) {
      world.settle('lost before');
      waits.push(((world.dueAt() ?? Number.NaN) - world.now) / 1000);
      world.pass(60_000);
    }
    expect(waits).toEqual([1, 2, 4, 8, 16, 32, 60, 60, 60]);
  });

  test('waits as long as WeCom, or the paused account, says', () => {
    const world = ledgerAfterMessage();
    world.text('a');
    const { id: callId = '' } = world.call() ?? {};
    const outcome = { kind: 'unanswered', isUnanswered: false, code: 'account-paused', retryAfterMs: 17_000 } as const;
    world.deliver({ type: 'call.settled', id: 'x', callId, outcome });
    expect(world.dueAt()).toBe(world.now + 17_000);
  });

  test('and then refused for want of allowance keeps its msgid: it may have been the one that used it up', () => {
    const world = ledgerAfterMessage({ checksFirst: 'allowance', burnsMsgids: false });
    world.text('a', 'answer', longAnswer(5));
    for (let i = 0; i < 4; i++) world.settle();
    world.settle('lost behind');
    world.pass(1_000);
    world.settle();
    expect(world.refusedWith).toEqual([95001]);
    expect(world.state.queue[0]?.waitingSince).toBe(world.now);
    world.userWrites();
    world.settle();
    expect(world.refusedWith).toEqual([95001, 95033]);
    expect(world.got()).toEqual(['a.0', 'a.1', 'a.2', 'a.3', 'a.4']);
    expect(world.state).toMatchObject({ queue: [], attempt: null });
  });

  test('whose call got lost with its process is made again by another name', () => {
    const world = ledgerAfterMessage();
    world.text('a');
    world.settle('crash behind');
    expect(world.call()?.id).toMatch(/#2$/);
    world.settle();
    expect(world.got()).toEqual(['a.0']);
  });

  test('an acceptance that an older try brings home counts, an older failure doesn’t', () => {
    const world = ledgerAfterMessage();
    world.text('a');
    const { id: callId = '' } = world.call() ?? {};
    world.settle('crash before');
    const refusal = { kind: 'refused', errcode: 40201, class: 'permanent', retryAfterMs: null } as const;
    expect(world.deliver({ type: 'call.settled', id: 'x', callId, outcome: refusal })).toBe(false);
    expect(world.deliver({ type: 'call.settled', id: 'x', callId, outcome: { kind: 'sent' } })).toBe(true);
    expect(world.state).toMatchObject({ queue: [], attempt: null });
  });

  test('an outcome that is delivered twice changes nothing', () => {
    const world = ledgerAfterMessage();
    world.text('a');
    const { id: callId = '' } = world.call() ?? {};
    world.settle('busy');
    const before = world.state;
    const outcome = { kind: 'unanswered', isUnanswered: true, code: 'x', retryAfterMs: null } as const;
    expect(world.deliver({ type: 'call.settled', id: 'x', callId, outcome })).toBe(false);
    expect(world.state).toBe(before);
  });
});

describe('a refusal', () => {
  test('for good is a dead letter with WeCom’s code, and what is behind it goes on', () => {
    const world = ledgerAfterMessage();
    world.text('a', 'answer', longAnswer(3));
    world.text('b');
    world.settle();
    world.settle('blocked');
    expect(world.deadLetters()).toMatchObject([{ id: 'a#1', textId: 'a', code: 'wecom-40201' }]);
    world.sendAll();
    expect(world.got()).toEqual(['a.0', 'b.0']);
  });

  test.each(['busy', 'misconfigured'] as const)('because WeCom is %s is tried again, notices too', (fate) => {
    const world = ledgerAfterMessage();
    world.text('n', 'notice');
    world.settle(fate);
    world.pass(fate === 'busy' ? 1_000 : 30_000);
    world.settle();
    expect(world.got()).toEqual(['n.0']);
  });

  test('of a msgid that nothing was sent under begins a new generation', () => {
    const world = ledgerAfterMessage({ checksFirst: 'msgid', burnsMsgids: true });
    world.text('a');
    world.settle('busy');
    world.pass(1_000);
    world.settle();
    expect(world.call()?.attempt).toMatchObject({ generation: 1, msgid: msgidOf(userKey, 'a', 0, 1) });
    world.settle();
    expect(world.got()).toEqual(['a.0']);
    expect(world.stored('a')?.msgids).toContain(msgidOf(userKey, 'a', 0, 1));
  });

  test('of eight msgids in a row as used before is a dead letter', () => {
    const world = ledgerAfterMessage();
    world.text('a');
    for (let i = 0; i < 8; i++) {
      const { id: callId = '' } = world.call() ?? {};
      const outcome = { kind: 'refused', errcode: 95033, class: 'permanent', retryAfterMs: null } as const;
      world.deliver({ type: 'call.settled', id: 'x', callId, outcome });
    }
    expect(world.deadLetters()).toMatchObject([{ textId: 'a', code: 'wecom-95033' }]);
    expect(world.state.allowance.remaining).toBe(5);
  });

  test('because of a closed session lets answers wait and drops what is no answer', () => {
    const world = ledgerAfterMessage();
    world.text('n', 'notice');
    world.settle('closed');
    expect(world.counts).toContain('notice-refused');
    world.userWrites();
    world.text('a');
    world.settle('closed');
    expect(world.state.queue).toMatchObject([{ textId: 'a', waitingSince: world.now }]);
    world.userWrites();
    world.sendAll();
    expect(world.got()).toEqual(['a.0']);
  });

  test('because of a session that a human has taken is no end, however often the user writes', () => {
    const world = ledgerAfterMessage();
    world.text('a');
    for (let i = 0; i < 30; i++) {
      world.settle('closed');
      world.pass(HOUR_MS);
      world.userWrites();
    }
    expect(world.deadLetters()).toEqual([]);
    world.settle();
    expect(world.got()).toEqual(['a.0']);
    const msgid = world.accepted[0]?.msgid ?? '';
    world.report(msgid);
    expect(world.state.queue).toMatchObject([{ textId: 'a', generation: 31 }]);
  });

  test('for want of allowance that a renewal has overtaken is tried again at once, a notice too', () => {
    for (const kind of ['answer', 'notice'] as const) {
      const world = ledgerAfterMessage();
      world.text('a', kind);
      world.userWrites();
      world.settle('closed');
      expect(world.call()?.attempt.textId).toBe('a');
      expect(world.state.allowance.remaining).toBe(4);
      world.settle();
      expect(world.got()).toEqual(['a.0']);
    }
  });

  test('that comes again right after a renewal leaves nothing of that one either', () => {
    const world = ledgerAfterMessage();
    world.text('a');
    world.userWrites();
    world.settle('closed');
    world.settle('closed');
    expect(world.call()).toBeNull();
    expect(world.state.allowance.remaining).toBe(0);
  });

  test('a retry that WeCom accepts after the user wrote again is paid for by that message', () => {
    const world = ledgerAfterMessage();
    world.text('a');
    for (let i = 0; i < 5; i++) {
      world.settle('busy');
      world.pass(16_000);
    }
    world.userWrites();
    world.settle('busy');
    world.pass(32_000);
    world.settle();
    expect(world.state.allowance.remaining).toBe(4);
    world.text('b', 'answer', longAnswer(5));
    world.sendAll();
    expect(world.got()).toEqual(['a.0', 'b.0', 'b.1', 'b.2', 'b.3+']);
    expect(world.refusedWith).toEqual([]);
  });
});
