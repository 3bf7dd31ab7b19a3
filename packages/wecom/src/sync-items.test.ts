import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { parseSyncItem } from './sync-items.ts';

const numRuns = Number(process.env.PROPERTY_RUNS ?? 500);

const polled = { openKfId: 'wk1', nowS: 1_700_000_000 };
const parse = (raw: unknown) => parseSyncItem(raw, polled);
const customer = {
  msgid: 'm1',
  open_kfid: 'wk1',
  external_userid: 'wm1',
  send_time: 1_699_999_000,
  origin: 3,
  msgtype: 'text',
  text: { content: ' hi ' },
};

test('a text of a customer', () => {
  expect(parse(customer)).toEqual({
    kind: 'customer',
    msgid: 'm1',
    externalUserId: 'wm1',
    sendTime: 1_699_999_000,
    msgtype: 'text',
    text: ' hi ',
  });
});

test('any other type of a customer has no text', () => {
  expect(parse({ ...customer, msgtype: 'image', image: { media_id: 'x' } })).toMatchObject({
    kind: 'customer',
    msgtype: 'image',
  });
  expect(parse({ ...customer, msgtype: 'image' })).not.toHaveProperty('text');
  expect(parse({ ...customer, msgtype: undefined })).toMatchObject({ kind: 'customer', msgtype: 'unknown' });
  expect(parse({ ...customer, text: null })).toMatchObject({ kind: 'customer', text: '' });
  expect(parse({ ...customer, text: { content: 'a\ud83d' } })).toMatchObject({ text: 'a\ufffd' });
});

test('what an item does not say is taken from the poll', () => {
  expect(parse({ ...customer, open_kfid: undefined })).toMatchObject({ kind: 'customer' });
  for (const send_time of [undefined, null, 'soon', -5, 0, 1.5, 1_700_000_000_000, {}])
    expect(parse({ ...customer, send_time })).toMatchObject({ kind: 'customer', sendTime: polled.nowS });
  expect(parse({ ...customer, send_time: '1699999000' })).toMatchObject({ sendTime: 1_699_999_000 });
});

test('an event carries its ids inside', () => {
  const event = {
    event_type: 'msg_send_fail',
    open_kfid: 'wk1',
    external_userid: 'wm1',
    fail_msgid: 'f1',
    fail_type: 6,
  };
  expect(parse({ msgid: 'e1', send_time: 1_699_999_000, origin: 4, msgtype: 'event', event })).toEqual({
    kind: 'event',
    msgid: 'e1',
    eventType: 'msg_send_fail',
    externalUserId: 'wm1',
    sendTime: 1_699_999_000,
    failMsgid: 'f1',
    failType: 6,
  });
});

test('an event of a new kind, or with nothing inside, is still an event', () => {
  expect(parse({ msgid: 'e', origin: 4, msgtype: 'event', event: { event_type: 'new' } })).toEqual({
    kind: 'event',
    msgid: 'e',
    eventType: 'new',
    sendTime: polled.nowS,
  });
  expect(parse({ msgid: 'e', origin: 4, msgtype: 'event' })).toMatchObject({ kind: 'event', eventType: 'event' });
});

test('what a human servicer wrote', () => {
  expect(parse({ ...customer, origin: 5, servicer_userid: 'z' })).toMatchObject({
    kind: 'servicer',
    externalUserId: 'wm1',
  });
});

test.each([
  [null, 'not an object'],
  [[], 'not an object'],
  ['text', 'not an object'],
  [{ ...customer, msgid: undefined }, 'no msgid'],
  [{ ...customer, msgid: 7 }, 'no msgid'],
])('%j is malformed: %s', (raw, reason) => {
  expect(parse(raw)).toEqual({ kind: 'malformed', reason });
});

test.each([
  [{ external_userid: undefined }, 'customer item without external_userid'],
  [{ external_userid: 12 }, 'customer item without external_userid'],
  [{ external_userid: 'x'.repeat(121) }, 'customer item without external_userid'],
  [{ origin: undefined }, 'unknown origin'],
  [{ origin: 9 }, 'unknown origin'],
  [{ open_kfid: 'wk2' }, 'of another account'],
  [{ open_kfid: undefined, origin: 4, event: { event_type: 'msg_send_fail', open_kfid: 'wk2' } }, 'of another account'],
])('with %j an item is malformed, and says its msgid: %s', (changes, reason) => {
  expect(parse({ ...customer, ...changes })).toEqual({ kind: 'malformed', msgid: 'm1', reason });
});

test('a msgid that is too long for us is cut to be logged', () => {
  expect(parse({ ...customer, msgid: 'x'.repeat(121) })).toEqual({
    kind: 'malformed',
    msgid: 'x'.repeat(120),
    reason: 'no msgid',
  });
});

test('no JSON value makes it throw, and what it returns keeps its shape', () => {
  const field = fc.oneof(fc.jsonValue(), fc.constantFrom('m1', 3, 4, 5, '3', 'text', 'event', { content: 'x' }));
  const item = fc.record(
    {
      msgid: field,
      open_kfid: field,
      external_userid: field,
      send_time: field,
      origin: field,
      msgtype: field,
      text: field,
      event: fc.oneof(field, fc.record({ event_type: field, fail_type: field, fail_msgid: field, open_kfid: field })),
    },
    { requiredKeys: [] },
  );
  fc.assert(
    fc.property(fc.oneof(item, fc.jsonValue()), (raw) => {
      const parsed = parse(raw);
      if (parsed.kind === 'malformed') return;
      expect(parsed.msgid).not.toBe('');
      expect(Number.isSafeInteger(parsed.sendTime)).toBe(true);
      if (parsed.kind === 'customer') expect(parsed.externalUserId).not.toBe('');
    }),
    { numRuns },
  );
});
