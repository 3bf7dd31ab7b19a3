import { describe, expect, test } from '@jest/globals';
import type { TextKind } from '@pipeline/contracts';
import { render } from '@pipeline/texts';
import { settings } from '../../test/ledger-world.ts';
import { toParts } from '../text/text-parts.ts';
import { affordable, hasRoomForMore, makeRoomForMore, sentContent } from './affordable.ts';
import type { QueuedText } from './ledger-state.ts';

const queued = (kind: TextKind, parts = 1, next = 0): QueuedText => ({
  textId: 't',
  msgId: 'm',
  kind,
  decidedAt: 0,
  parts,
  next,
  generation: 0,
  triesBefore: 0,
  rejectedMsgids: 0,
  inline: null,
  isStored: true,
  waitingSince: null,
  afterRenewal: -1,
});
const judged = (head: QueuedText, behind: QueuedText[], remaining: number, expected = 0) =>
  affordable(head, { behind, expected, remaining }, settings);

describe('an answer', () => {
  test('is sent while anything is left, and waits when nothing is', () => {
    expect(judged(queued('answer'), [], 1)).toBe('send');
    expect(judged(queued('answer', 9), [], 2)).toBe('send');
    expect(judged(queued('answer'), [], 0)).toBe('wait');
  });

  test('says with the last send that more of it, or another answer, waits', () => {
    expect(judged(queued('answer', 3, 1), [], 1)).toBe('send-last');
    expect(judged(queued('answer', 3, 2), [], 1)).toBe('send');
    expect(judged(queued('answer'), [queued('answer')], 1)).toBe('send-last');
  });

  test('says so too of an answer that is still expected', () => {
    expect(judged(queued('answer'), [], 1, 1)).toBe('send-last');
    expect(judged(queued('answer'), [], 2, 1)).toBe('send');
  });

  test('doesn’t say so for notices and courtesy, which never wait', () => {
    expect(judged(queued('answer'), [queued('notice'), queued('courtesy')], 1)).toBe('send');
  });
});

describe('courtesy', () => {
  test('is sent while three sends remain after it', () => {
    expect(judged(queued('courtesy'), [], 4)).toBe('send');
    expect(judged(queued('courtesy'), [], 3)).toBe('unaffordable');
    expect(judged(queued('courtesy'), [], 0)).toBe('unaffordable');
  });

  test('leaves what the answers behind it need, if that is more', () => {
    expect(judged(queued('courtesy'), [queued('answer', 4)], 5)).toBe('send');
    expect(judged(queued('courtesy'), [queued('answer', 4), queued('answer')], 5)).toBe('unaffordable');
    expect(judged(queued('courtesy'), [queued('answer', 9, 5)], 5)).toBe('send');
  });
});

test('courtesy leaves what the answers need that are still expected', () => {
  expect(judged(queued('courtesy'), [], 5, 4)).toBe('send');
  expect(judged(queued('courtesy'), [], 5, 5)).toBe('unaffordable');
  expect(judged(queued('courtesy'), [queued('answer', 2)], 5, 3)).toBe('unaffordable');
});

describe('a notice', () => {
  test('yields to answers that are here; of those still expected it tells with the last send', () => {
    expect(judged(queued('notice'), [], 2, 3)).toBe('send');
    expect(judged(queued('notice'), [], 1, 3)).toBe('send-last');
  });

  test('may take the last send, unless an answer behind it needs that', () => {
    expect(judged(queued('notice'), [], 1)).toBe('send');
    expect(judged(queued('notice'), [], 0)).toBe('unaffordable');
    expect(judged(queued('notice'), [queued('answer')], 1)).toBe('unaffordable');
    expect(judged(queued('notice'), [queued('answer'), queued('courtesy')], 2)).toBe('send');
  });
});

describe('room for “more”', () => {
  test('“more” stands on a line of its own behind the part', () => {
    expect(sentContent('part', true)).toBe(`part\n${render('more')}`);
    expect(sentContent('part', false)).toBe('part');
  });

  test('a part has room for it if both fit into WeCom’s 2048 bytes', () => {
    const room = 2048 - Buffer.byteLength(sentContent('', true));
    expect(hasRoomForMore('x'.repeat(room))).toBe(true);
    expect(hasRoomForMore('x'.repeat(room + 1))).toBe(false);
  });

  test('what was not sent yet is split anew, so that it fits', () => {
    const source = '好'.repeat(3000);
    const parts = toParts(source, { text: source, fence: null });
    const roomy = makeRoomForMore(source, parts, 2);
    expect(roomy.slice(0, 2)).toEqual(parts.slice(0, 2));
    expect(hasRoomForMore(parts[2]?.content ?? '')).toBe(false);
    expect(hasRoomForMore(roomy[2]?.content ?? '')).toBe(true);
    expect(roomy.map(({ content }) => content).join('')).toBe(source);
  });
});
