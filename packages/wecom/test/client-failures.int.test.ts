// WeCom refuses, or says nothing: which kind of failure that is, and whether the call may have been heard.
import { describe, expect, test } from '@jest/globals';
import { PermanentError, RetryableError } from '@pipeline/runtime';
import { createMemoryTokenStore, type WecomError } from '../src/index.ts';
import { bodyOf, connect, failureOf, message, SECRET, server } from './client-rig.ts';
import { hangUp, json, ok, refuse, stayMute, text } from './scripted-server.ts';

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
      response.write('{"errcode":0}', () => response.socket?.end());
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
