// The access token of a client: fetched once, renewed in time, and not asked for again once refused.
import { describe, expect, test } from '@jest/globals';
import { connect, failureOf, message, SECRET, server } from './client-rig.ts';
import { json, ok, refuse } from './scripted-server.ts';

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
