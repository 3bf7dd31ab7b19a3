import { describe, expect, test } from '@jest/globals';
import { settings } from '../../test/ledger-world.ts';
import { refund, remainingAt, renew, spend, spendRetried } from './allowance.ts';
import type { Allowance } from './ledger-state.ts';

const sendTime = 1_800_000_000;
const now = sendTime * 1000;
const fresh: Allowance = { sendTime: null, receivedAt: 0, remaining: 0, renewals: 0, begun: [] };
/** A message that WeCom had at `sendTime` and we a while later. */
const message = (sendTime: number, receivedAt = sendTime * 1000 + 60_000, msgId = `m${sendTime}`) => ({
  msgId,
  sendTime,
  receivedAt,
});
const renewed = renew(fresh, message(sendTime), settings);
const afterSends = (allowance: Allowance, ...begun: number[]) =>
  begun.reduce((before, at) => spend(before, at, settings), allowance);

describe('a message of the customer', () => {
  test('pays for five sends', () => {
    expect(remainingAt(fresh, now, settings)).toBe(0);
    expect(remainingAt(renewed, now, settings)).toBe(5);
    expect(remainingAt(afterSends(renewed, now, now, now, now, now), now, settings)).toBe(0);
  });

  test('pays for 48 hours and no longer', () => {
    expect(remainingAt(renewed, now + settings.windowMs - 1, settings)).toBe(5);
    expect(remainingAt(renewed, now + settings.windowMs, settings)).toBe(0);
  });

  test('opens a new five; nothing is left over from the one before', () => {
    expect(renew(spend(renewed, now, settings), message(sendTime + 10), settings)).toMatchObject({
      remaining: 5,
      renewals: 2,
    });
  });

  test('that is older than the newest counted changes nothing', () => {
    expect(renew(renewed, message(sendTime - 1), settings)).toBe(renewed);
  });

  test('of the same second counts', () => {
    const another = message(sendTime, now + 60_000, 'another');
    expect(renew(spend(renewed, now, settings), another, settings)).toMatchObject({
      remaining: 5,
      renewals: 2,
    });
  });

  test('counts once, whoever tells of it how often, of a replay too', () => {
    const another = message(sendTime, now + 60_000, 'another');
    const sent = spend(renew(renewed, another, settings), now, settings);
    for (const { msgId } of [message(sendTime), another])
      for (const id of [msgId, `${msgId}~1`]) expect(renew(sent, { ...another, msgId: id }, settings)).toBe(sent);
  });

  test('that comes to us late has paid for what was sent since, the doubtful first three seconds aside', () => {
    const sent = afterSends(renewed, now + 12_000, now + 13_000, now + 13_001, now + 20_000);
    expect(renew(sent, message(sendTime + 10), settings).remaining).toBe(3);
    const many = afterSends(renewed, ...Array.from({ length: 9 }, () => now + 20_000));
    expect(renew(many, message(sendTime + 10), settings).remaining).toBe(0);
  });

  test('has paid for all sent since, however many an allowance pays for', () => {
    const large = { ...settings, allowance: 40 };
    const many = Array.from({ length: 30 }, () => now + 20_000);
    const sent = many.reduce((before, at) => spend(before, at, large), renew(fresh, message(sendTime), large));
    expect(renew(sent, message(sendTime + 10), large).remaining).toBe(10);
  });

  test('has paid for everything begun after we had got it: of a burst, the last counts what the first has cost', () => {
    const sent = afterSends(renewed, now + 400, now + 500, now + 501, now + 900);
    expect(renew(sent, message(sendTime, now + 500, 'last'), settings).remaining).toBe(3);
  });
});

describe('a refused send', () => {
  const begun = { at: now + 1, renewals: 1 };

  test('costs nothing', () => {
    expect(refund(spend(renewed, begun.at, settings), begun, false, settings)).toEqual(renewed);
  });

  test('for want of allowance leaves none', () => {
    expect(refund(spend(renewed, begun.at, settings), begun, true, settings)).toMatchObject({
      remaining: 0,
      begun: [],
    });
  });

  test('for want of allowance says nothing of one that was opened after it began', () => {
    const later = renew(spend(renewed, begun.at, settings), message(sendTime + 10), settings);
    expect(refund(later, begun, true, settings)).toMatchObject({ remaining: 5, begun: [] });
  });

  test('is given back also when a message that was older than it came to us later', () => {
    const at = now + 20_000;
    const later = renew(spend(renewed, at, settings), message(sendTime + 10), settings);
    expect(later.remaining).toBe(4);
    expect(refund(later, { at, renewals: 1 }, false, settings).remaining).toBe(5);
  });

  test('never leaves more than a message pays for', () => {
    expect(refund(renewed, begun, false, settings).remaining).toBe(5);
  });
});

describe('a send that took several tries', () => {
  test('spends from the allowance that was opened in between', () => {
    const later = renew(spend(renewed, now + 1, settings), message(sendTime + 60), settings);
    expect(spendRetried(later, now + 1, now + 90_000, settings)).toMatchObject({ remaining: 4 });
  });

  test('isn’t counted twice when nothing was opened in between, nor when the renewal counted it', () => {
    const sent = spend(renewed, now + 10_000, settings);
    expect(spendRetried(sent, now + 10_000, now + 90_000, settings)).toBe(sent);
    const late = renew(sent, message(sendTime + 5), settings);
    expect(spendRetried(late, now + 10_000, now + 90_000, settings)).toBe(late);
  });
});

test('no more begun sends are remembered than a renewal can need', () => {
  expect(afterSends(renewed, ...Array.from({ length: 40 }, (_, i) => now + i)).begun).toHaveLength(16);
});
