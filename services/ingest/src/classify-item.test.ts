import { describe, expect, test } from '@jest/globals';
import { parseSyncItem } from '@pipeline/wecom';
import { classifyItem } from './classify-item.ts';

const customer = (fields: Record<string, unknown>) =>
  parseSyncItem(
    { msgid: 'm1', origin: 3, external_userid: 'wm1', send_time: 1_000, msgtype: 'text', ...fields },
    { openKfId: 'wk1', nowS: 2_000 },
  );
const saying = (content: string) => classifyItem(customer({ text: { content } }), 0);

describe('a customer’s message', () => {
  test('keeps its text as written', () => {
    expect(saying('  你好\n')).toEqual({
      kind: 'message',
      msgId: 'm1',
      externalUserId: 'wm1',
      sendTime: 1_000,
      type: 'text',
      text: '  你好\n',
      codeShape: null,
      isContinuation: false,
      isBlank: false,
    });
  });

  test('that is no text has none', () => {
    expect(classifyItem(customer({ msgtype: 'image', image: { media_id: 'x' } }), 0)).toMatchObject({
      kind: 'message',
      type: 'image',
      text: null,
      codeShape: null,
      isContinuation: false,
      isBlank: false,
    });
  });

  test.each(['', ' \n', '\u3000\u00a0'])('%j is blank', (text) => {
    expect(saying(text)).toMatchObject({ isBlank: true });
  });

  test.each([
    ['ABC123', 'ABC123'],
    [' abc123\n', 'ABC123'],
    ['\u3000aBcDeF\u00a0', 'ABCDEF'],
    ['000000', '000000'],
  ])('%j looks like the code %s', (text, code) => {
    expect(saying(text)).toMatchObject({ codeShape: code });
  });

  test.each(['ABC12', 'ABC1234', 'ABCXYZ', 'AB C12', '验证码 ABC123', '', '１２３４５６'])(
    '%j looks like no code',
    (text) => {
      expect(saying(text)).toMatchObject({ codeShape: null });
    },
  );

  test.each(['继续', ' 更多 ', 'more', 'MORE', 'Continue', '\ncontinue'])('%j asks for the rest', (text) => {
    expect(saying(text)).toMatchObject({ isContinuation: true });
  });

  test.each(['继续说', 'more!', 'no more', ''])('%j does not ask for the rest', (text) => {
    expect(saying(text)).toMatchObject({ isContinuation: false });
  });

  test('sent before the limit is too old; in the second of the limit it is not', () => {
    expect(classifyItem(customer({}), 1_001_000)).toEqual({ kind: 'too_old', msgId: 'm1', type: 'text' });
    expect(classifyItem(customer({}), 1_000_999)).toMatchObject({ kind: 'message' });
  });
});

describe('other items', () => {
  const event = (fields: Record<string, unknown>) =>
    classifyItem(
      parseSyncItem(
        { msgid: 'e1', origin: 4, send_time: 1, msgtype: 'event', event: fields },
        { openKfId: 'wk1', nowS: 2_000 },
      ),
      // Events are never too old.
      5_000_000,
    );

  test('a failed delivery goes to the sender', () => {
    const fields = { event_type: 'msg_send_fail', external_userid: 'wm1', fail_msgid: 'f1', fail_type: 4 };
    const item = { kind: 'send_fail', msgId: 'e1', externalUserId: 'wm1', failMsgid: 'f1', type: 'msg_send_fail' };
    expect(event(fields)).toEqual({ ...item, failType: 4 });
    expect(event({ ...fields, fail_type: undefined })).toEqual({ ...item, failType: 0 });
  });

  test('a failed delivery that names no message or no user is malformed', () => {
    for (const fields of [{ external_userid: 'wm1' }, { fail_msgid: 'f1' }])
      expect(event({ event_type: 'msg_send_fail', ...fields })).toMatchObject({ kind: 'malformed', msgId: 'e1' });
  });

  test('events, servicers’ messages and malformed items are only counted', () => {
    expect(event({ event_type: 'enter_session', external_userid: 'wm1' })).toEqual({
      kind: 'event',
      msgId: 'e1',
      type: 'enter_session',
    });
    expect(classifyItem(customer({ origin: 5 }), 0)).toEqual({ kind: 'servicer', msgId: 'm1', type: 'text' });
    expect(classifyItem(customer({ msgid: undefined }), 0)).toEqual({
      kind: 'malformed',
      msgId: null,
      type: 'no msgid',
    });
  });
});
