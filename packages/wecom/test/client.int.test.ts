import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { PermanentError, RetryableError } from '@pipeline/runtime';
import {
  createMemoryTokenStore,
  createWecomClient,
  isWecomError,
  type WecomClient,
  type WecomClientOptions,
  type WecomError,
} from '../src/index.ts';
import {
  hangUp,
  json,
  ok,
  refuse,
  type ScriptedServer,
  startScriptedServer,
  stayMute,
  text,
} from './scripted-server.ts';

const SECRET = 'very-secret-value';
const message = { openKfId: 'wk1', externalUserId: 'wm1', msgid: 'm1', content: '你好' };

let server: ScriptedServer;
let clients: WecomClient[] = [];

function connect(options: Partial<WecomClientOptions> = {}): WecomClient {
  const client = createWecomClient({ apiUrl: server.url, corpId: 'corp', secret: SECRET, timeoutMs: 2000, ...options });
  clients.push(client);
  return client;
}

async function failureOf(call: Promise<unknown>): Promise<WecomError> {
  const error = await call.then(
    () => expect('the call').toBe('refused'),
    (reason: unknown) => reason,
  );
  if (!isWecomError(error)) throw error;
  return error;
}

const bodyOf = (call = server.calls.at(-1)): unknown => JSON.parse(String(call?.body));

beforeEach(async () => {
  server = await startScriptedServer();
});

afterEach(async () => {
  await Promise.all(clients.map((client) => client.close()));
  clients = [];
  await server.close();
});

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

describe('refusals', () => {
  test.each([
    [95001, 'waiting', RetryableError],
    [95018, 'waiting', RetryableError],
    [48002, 'configuration', RetryableError],
    [45033, 'retryable', RetryableError],
    [95033, 'permanent', PermanentError],
    [123456, 'permanent', PermanentError],
  ])('%i is of class %s', async (errcode, kind, errorKind) => {
    server.answer(refuse(errcode, 'text, hint: [1234567], from ip: 1.2.3.4'));
    const error = await failureOf(connect().sendText(message));
    expect(error).toBeInstanceOf(errorKind);
    expect(error).toMatchObject({
      errcode,
      class: kind,
      isUnanswered: false,
      code: `wecom-${errcode}`,
      api: 'kf/send_msg',
    });
    expect(error.context).toMatchObject({ hint: '1234567' });
    expect(server.calls).toHaveLength(1);
  });

  test('errcode decides on any HTTP status below 500', async () => {
    server.answer(json({ errcode: 95002, errmsg: '' }, 403));
    expect(await failureOf(connect().sendText(message))).toMatchObject({ errcode: 95002, isUnanswered: false });
  });

  test('an unread request is a failure although its errcode is 0', async () => {
    server.answer(json({ errcode: 0, errmsg: 'ok. Warning: wrong json format. ' }));
    expect(await failureOf(connect().sendText(message))).toMatchObject({
      code: 'wecom-wrong-json',
      class: 'permanent',
      isUnanswered: false,
    });
  });

  test('a used-up quota says how long to wait', async () => {
    server.answer(refuse(45009));
    expect(await failureOf(connect().sendText(message))).toMatchObject({ class: 'retryable', retryAfterMs: 60_000 });
  });

  test('a busy WeCom is asked again three times', async () => {
    const client = connect();
    server.answer(refuse(-1), refuse(-1), refuse(-1), ok);
    await client.sendText(message);
    expect(server.calls).toHaveLength(4);
    server.answer(refuse(-1));
    expect(await failureOf(client.sendText(message))).toMatchObject({
      errcode: -1,
      code: 'wecom-busy',
      class: 'retryable',
      isUnanswered: false,
    });
    expect(server.calls).toHaveLength(8);
  });
});

describe('no answer', () => {
  test.each([
    ['a connection lost', hangUp, 'wecom-connection-lost'],
    ['HTTP 502', text('<html>bad gateway</html>', 502), 'wecom-http-status'],
    ['HTTP 500 with JSON', json({ errcode: 95001 }, 500), 'wecom-http-status'],
    ['HTTP 404 without JSON', text('nothing here', 404), 'wecom-http-status'],
    ['no JSON', text('<html>'), 'wecom-invalid-answer'],
    ['JSON without errcode', json({ msgid: 'm1' }), 'wecom-invalid-answer'],
    ['JSON null', json(null), 'wecom-invalid-answer'],
    ['cut JSON', text('{"errcode":0,"errm'), 'wecom-invalid-answer'],
    ['nothing', text(''), 'wecom-invalid-answer'],
    ['too much', text(' '.repeat(1024 * 1024 + 1)), 'wecom-oversized-answer'],
  ])('%s leaves the call unanswered', async (_name, respond, code) => {
    server.answer(respond);
    const error = await failureOf(connect().sendText(message));
    expect(error).toMatchObject({ code, errcode: null, class: 'retryable', isUnanswered: true });
    expect(error).toBeInstanceOf(RetryableError);
    expect(server.calls).toHaveLength(1);
  });

  test('an answer that is cut off leaves the call unanswered', async () => {
    server.answer((_request, response) => {
      response.writeHead(200, { 'content-length': '100' });
      response.write('{"errcode":0}');
      setTimeout(() => response.destroy(), 20);
    });
    expect(await failureOf(connect().sendText(message))).toMatchObject({
      code: 'wecom-connection-lost',
      isUnanswered: true,
    });
  });

  test('the time-out covers the whole answer, however it drips', async () => {
    server.answer((_request, response) => {
      response.writeHead(200);
      const drip = setInterval(() => response.write(' '), 20);
      response.on('close', () => clearInterval(drip));
    });
    const begun = performance.now();
    const error = await failureOf(connect({ timeoutMs: 200 }).sendText(message));
    expect(error).toMatchObject({ code: 'wecom-timeout', isUnanswered: true });
    expect(performance.now() - begun).toBeLessThan(10_000);
  });

  test('a page may be larger than other answers', async () => {
    const item = { msgid: 'a', padding: 'x'.repeat(2 * 1024 * 1024) };
    server.answer(json({ errcode: 0, next_cursor: 'c', has_more: 0, msg_list: [item] }));
    expect((await connect().syncMsg({ openKfId: 'wk1' })).items).toEqual([item]);
  });

  test('a refused connection leaves nothing unanswered', async () => {
    const tokenStore = createMemoryTokenStore();
    await tokenStore.write({ token: 'kept', expiresAt: Date.now() + 60_000 });
    await server.close();
    const error = await failureOf(connect({ tokenStore }).sendText(message));
    expect(error).toMatchObject({ api: 'kf/send_msg', code: 'wecom-unreachable', isUnanswered: false });
    expect(error.message).toMatch(/ECONNREFUSED/);
  });

  test('a name that does not resolve leaves nothing unanswered', async () => {
    const client = connect({ apiUrl: 'http://wecom.invalid' });
    expect(await failureOf(client.sendText(message))).toMatchObject({ isUnanswered: false, errcode: null });
  });

  test('a call that never got a connection leaves nothing unanswered and is never sent', async () => {
    const client = connect({ timeoutMs: 150, maxConnections: 1 });
    await client.sendText(message);
    server.answer(stayMute);
    const [first, second] = await Promise.all([
      failureOf(client.sendText({ ...message, msgid: 'm2' })),
      failureOf(client.sendText({ ...message, msgid: 'm3' })),
    ]);
    expect(first).toMatchObject({ code: 'wecom-timeout', isUnanswered: true });
    expect(second).toMatchObject({ code: 'wecom-timeout', isUnanswered: false });
    server.answer(ok);
    await client.sendText({ ...message, msgid: 'm4' });
    expect(server.calls.map((call) => (bodyOf(call) as { msgid: string }).msgid)).toEqual(['m1', 'm2', 'm4']);
  });

  test('a token that could not be fetched leaves the call itself unsent', async () => {
    for (const respond of [hangUp, text('oops', 502), text('{')]) {
      server.answerToken(respond);
      expect(await failureOf(connect().sendText(message))).toMatchObject({
        api: 'gettoken',
        class: 'retryable',
        isUnanswered: false,
      });
    }
    expect(server.calls).toHaveLength(0);
  });
});

describe('access token', () => {
  test('a hundred calls at once fetch one', async () => {
    const client = connect();
    await Promise.all(Array.from({ length: 100 }, () => client.sendText(message)));
    expect(server.tokens).toHaveLength(1);
    expect(Object.fromEntries(server.tokens[0]?.query ?? [])).toEqual({ corpid: 'corp', corpsecret: SECRET });
  });

  test.each([40014, 42001])('after %i it is renewed once and the call repeated', async (errcode) => {
    const client = connect();
    await client.sendText(message);
    server.answer((request, response) =>
      (request.query.get('access_token') === 'token-1' ? refuse(errcode) : ok)(request, response),
    );
    await Promise.all(Array.from({ length: 20 }, () => client.sendText(message)));
    expect(server.tokens).toHaveLength(2);
  });

  test('a token that is refused again is not renewed again', async () => {
    server.answer(refuse(40014));
    expect(await failureOf(connect().sendText(message))).toMatchObject({
      errcode: 40014,
      class: 'token',
      isUnanswered: false,
    });
    expect([server.tokens.length, server.calls.length]).toEqual([2, 2]);
  });

  test('it is renewed 300 s before its end', async () => {
    let now = 1_000_000;
    const client = connect({ clock: () => now });
    await client.sendText(message);
    now += (7200 - 301) * 1000;
    await client.sendText(message);
    expect(server.tokens).toHaveLength(1);
    now += 2000;
    await client.sendText(message);
    expect(server.tokens).toHaveLength(2);
  });

  test.each([{}, { access_token: '' }, { access_token: 7 }])('an answer with %j in it is an error', async (fields) => {
    server.answerToken(json({ errcode: 0, errmsg: 'ok', expires_in: 7200, ...fields }));
    expect(await failureOf(connect().sendText(message))).toMatchObject({
      code: 'wecom-invalid-answer',
      api: 'gettoken',
    });
  });

  test.each([40001, 40013])('credentials refused with %i are never sent again', async (errcode) => {
    const client = connect();
    expect(client.configurationProblem()).toBeNull();
    server.answerToken(refuse(errcode));
    const first = await failureOf(client.sendText(message));
    server.answerToken();
    const second = await failureOf(client.syncMsg({ openKfId: 'wk1' }));
    for (const error of [first, second])
      expect(error).toMatchObject({ errcode, class: 'configuration', isUnanswered: false });
    expect(server.tokens).toHaveLength(1);
    expect(client.configurationProblem()).toMatchObject({ errcode, hint: expect.stringMatching(/restart/) });
  });

  test('another configuration problem goes away with the next call that works', async () => {
    const client = connect();
    server.answer(refuse(60020));
    await failureOf(client.sendText(message));
    expect(client.configurationProblem()).toMatchObject({
      errcode: 60020,
      meaning: expect.any(String),
      hint: expect.any(String),
    });
    server.answer(ok);
    await client.sendText({ ...message, openKfId: 'wk2' });
    expect(client.configurationProblem()).toMatchObject({ errcode: 60020 });
    await client.sendText(message);
    expect(client.configurationProblem()).toBeNull();
    server.answerToken(refuse(60020));
    server.answer(refuse(42001));
    await failureOf(client.sendText(message));
    expect(client.configurationProblem()).toMatchObject({ errcode: 60020 });
    server.answerToken();
    server.answer(ok);
    await client.sendText(message);
    expect(client.configurationProblem()).toBeNull();
  });
});

test('no error names token, secret, text or address', async () => {
  const leak = `secret ${SECRET} access_token=token-1 ${server.url} 你好 hint: [99]`;
  const client = connect({ timeoutMs: 300 });
  const errors: WecomError[] = [];
  for (const respond of [hangUp, text(leak, 502), text(leak), refuse(95001, leak), refuse(123, leak), stayMute]) {
    server.answer(respond);
    errors.push(await failureOf(client.sendText(message)));
  }
  server.answerToken(refuse(40001, leak));
  errors.push(await failureOf(connect().sendText(message)));
  await server.close();
  errors.push(await failureOf(connect().sendText(message)));
  for (const error of errors) {
    const everything = JSON.stringify([error.message, error.stack, error.context, error.cause, error]);
    expect(everything).not.toMatch(/very-secret|token-1|127\.0\.0\.1|你好/);
  }
});

test('connections are kept and reused', async () => {
  const client = connect();
  for (let i = 0; i < 10; i++) await client.sendText(message);
  expect(server.connections).toBeLessThanOrEqual(2);
});
