// What the client sends to WeCom, and what it makes of the answers.
import { describe, expect, test } from '@jest/globals';
import { bodyOf, connect, failureOf, message, server } from './client-rig.ts';
import { json, refuse } from './scripted-server.ts';

describe('what is sent and read', () => {
  test('a page is asked for with POST and read with its cursor', async () => {
    server.answer(json({ errcode: 0, errmsg: 'ok', next_cursor: 'c2', has_more: 1, msg_list: [{ msgid: 'a' }] }));
    const page = await connect().syncMsg({ openKfId: 'wk1', cursor: 'c1', token: 't1' });
    expect(page).toEqual({ items: [{ msgid: 'a' }], nextCursor: 'c2', hasMore: true, isTokenRefused: false });
    expect(server.calls[0]).toMatchObject({ method: 'POST', path: '/cgi-bin/kf/sync_msg' });
    expect(server.calls[0]?.query.get('access_token')).toBe('token-1');
    expect(bodyOf()).toEqual({ open_kfid: 'wk1', limit: 1000, cursor: 'c1', token: 't1' });
  });

  test('an answer without a list or a cursor is an empty page at the same place', async () => {
    const client = connect();
    expect(await client.syncMsg({ openKfId: 'wk1', cursor: 'c1', limit: 5000 })).toEqual({
      items: [],
      nextCursor: 'c1',
      hasMore: false,
      isTokenRefused: false,
    });
    expect(bodyOf()).toEqual({ open_kfid: 'wk1', limit: 1000, cursor: 'c1' });
    expect(await client.syncMsg({ openKfId: 'wk1', limit: 10 })).toMatchObject({
      items: [],
      nextCursor: '',
      hasMore: false,
    });
    expect(bodyOf()).toEqual({ open_kfid: 'wk1', limit: 10 });
  });

  test('a stale callback token is left out', async () => {
    server.answer(
      refuse(95007, 'invalid msg token'),
      json({ errcode: 0, next_cursor: 'c2', has_more: 0, msg_list: [] }),
    );
    expect(await connect().syncMsg({ openKfId: 'wk1', cursor: 'c1', token: 'old' })).toMatchObject({
      nextCursor: 'c2',
      isTokenRefused: true,
    });
    expect(bodyOf()).toEqual({ open_kfid: 'wk1', limit: 1000, cursor: 'c1' });
    server.answer(refuse(95007));
    expect(await failureOf(connect().syncMsg({ openKfId: 'wk1', token: 'old' }))).toMatchObject({ errcode: 95007 });
  });

  test('a text carries its own msgid, and never half a character', async () => {
    server.answer(json({ errcode: 0, errmsg: 'ok', msgid: 'm1' }));
    expect(await connect().sendText({ ...message, content: 'a\ud83d' })).toEqual({ msgid: 'm1' });
    expect(String(server.calls[0]?.body)).not.toMatch(/\\ud/i);
    expect(bodyOf()).toEqual({
      touser: 'wm1',
      open_kfid: 'wk1',
      msgid: 'm1',
      msgtype: 'text',
      text: { content: 'a\ufffd' },
    });
  });

  test('events are answered with text or menu, and session states read and changed', async () => {
    const client = connect();
    await client.sendMsgOnEvent({ code: 'k', message: { msgtype: 'text', content: 'hi' } });
    expect(bodyOf()).toEqual({ code: 'k', msgtype: 'text', text: { content: 'hi' } });
    await client.sendMsgOnEvent({ code: 'k', msgid: 'm', message: { msgtype: 'msgmenu', menu: { list: [] } } });
    expect(bodyOf()).toEqual({ code: 'k', msgid: 'm', msgtype: 'msgmenu', msgmenu: { list: [] } });
    server.answer(json({ errcode: 0, service_state: 3, servicer_userid: 'z' }));
    const session = { openKfId: 'wk1', externalUserId: 'wm1' };
    expect(await client.serviceState.get(session)).toEqual({ state: 3, servicerUserId: 'z' });
    server.answer(json({ errcode: 0, msg_code: 'mc' }));
    expect(await client.serviceState.trans({ ...session, state: 3, servicerUserId: 'z' })).toEqual({ msgCode: 'mc' });
    expect(bodyOf()).toEqual({ open_kfid: 'wk1', external_userid: 'wm1', service_state: 3, servicer_userid: 'z' });
  });

  test('files go up as a form and come down as bytes or as an error', async () => {
    const client = connect();
    server.answer(json({ errcode: 0, type: 'file', media_id: 'mid', created_at: '1' }));
    expect(await client.uploadMedia({ type: 'file', filename: '图.txt', bytes: new Uint8Array([1, 2, 3]) })).toEqual({
      mediaId: 'mid',
    });
    expect(server.calls[0]?.query.get('type')).toBe('file');
    expect(server.calls[0]?.headers['content-type']).toMatch(/^multipart\/form-data/);
    server.answer((_request, response) => {
      response.writeHead(200, {
        'content-type': 'application/json',
        'content-disposition': 'attachment; filename="a.json"',
      });
      response.end('{"errcode":1}');
    });
    expect(await client.getMedia({ mediaId: 'mid' })).toEqual({
      bytes: Buffer.from('{"errcode":1}'),
      contentType: 'application/json',
      filename: 'a.json',
    });
    server.answer(refuse(40007));
    expect(await failureOf(client.getMedia({ mediaId: 'gone' }))).toMatchObject({ errcode: 40007, class: 'permanent' });
  });

  test.each(['', '/', '/proxy', '/proxy/deep//'])('the address may end in "%s"', async (ending) => {
    await connect({ apiUrl: server.url + ending }).sendText(message);
    const prefix = ending.replace(/\/+$/, '');
    expect(server.tokens[0]?.path).toBe(`${prefix}/cgi-bin/gettoken`);
    expect(server.calls[0]?.path).toBe(`${prefix}/cgi-bin/kf/send_msg`);
  });

  test('an address that is none is refused at once', () => {
    expect(() => connect({ apiUrl: 'qyapi.weixin.qq.com' })).toThrow(/must be a URL/);
  });
});

test('connections are kept and reused', async () => {
  const client = connect();
  for (let i = 0; i < 10; i++) await client.sendText(message);
  expect(server.connections).toBeLessThanOrEqual(2);
});
