// A user and an instance are bound with a code (docs/behaviour.md, section 3).
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { render } from '@pipeline/texts';
import { connectStore } from '../../packages/store/src/connection.ts';
import { answerTo, createDialogue, type Dialogue } from '../support/dialogue.ts';
import { eventually } from '../support/eventually.ts';
import { quiet } from '../support/open-servers.ts';
import { type Pipeline, startPipeline } from '../support/pipeline.ts';
import { ADMIN_TOKEN } from '../support/service-environment.ts';

jest.setTimeout(60_000);
const thinking = render('thinking');
const unbound = render('unbound');
const bound = (name: string) => render('bound', { name });
let pipeline: Pipeline;
let users: Dialogue;
beforeAll(async () => {
  const env = {
    IT0_WECOM_KF_URL: 'https://work.weixin.qq.com/kfid/kfc1',
    // Wrong codes of longer ago than ten minutes are part of a story, and what we send now comes after all of them.
    INGEST_MAX_AGE_MS: '3600000',
    SEND_ALLOWANCE: '100',
  };
  pipeline = await startPipeline({ partitions: 4, env, wecomSettings: { allowance: 100 } });
  users = createDialogue(pipeline);
});
afterAll(() => pipeline?.stop());

type Made = { code: string; expiresAt: number; kfUrl: string };
const bindPath = (id: string) => `/channels/wecom/bind/${id}`;
const makeCode = async (id: string): Promise<Made> => (await pipeline.api('POST', bindPath(id))).body;
const bindingOf = async (id: string): Promise<Record<string, unknown>> =>
  (await pipeline.api('GET', bindPath(id))).body;
/** An instance on a port of its own, so that its tasks can be told from others. */
const addInstance = async (id: string, name: string) => {
  const hostPort = await pipeline.bridge.control.listen();
  const code = await pipeline.addInstance(id, { name, hostPort });
  return { id, code, hostPort };
};

describe('a code', () => {
  test('binds user and instance, and the API tells', async () => {
    const { id } = await addInstance('lobster', '阿虾');
    const before = Date.now();
    const made = await makeCode(id);
    expect(made).toEqual({
      code: expect.stringMatching(/^[0-9A-F]{6}$/),
      expiresAt: expect.any(Number),
      kfUrl: 'https://work.weixin.qq.com/kfid/kfc1',
    });
    expect(Math.abs(made.expiresAt - before - 15 * 60_000)).toBeLessThan(10_000);
    expect(await bindingOf(id)).toEqual({ bound: false, pendingCode: made.code });

    users.say('wm-anna', made.code);
    await users.hears('wm-anna', bound('阿虾'));
    expect(await bindingOf(id)).toEqual({ bound: true, externalUserId: 'wm-anna', boundAt: expect.any(Number) });
    users.say('wm-anna', '你好');
    await users.hears('wm-anna', thinking, answerTo('你好'));
    expect(pipeline.bridge.control.tasks({ user: 'wm-anna' }).map(({ prompt }) => prompt)).toEqual(['你好']);
  });

  test.each([
    ['in lower case', (code: string) => code.toLowerCase()],
    ['in mixed case between blanks', (code: string) => ` \n\u3000${code.slice(0, 3).toLowerCase()}${code.slice(3)}\t `],
  ])('counts %s', async (what, written) => {
    const user = `wm-${what.length}`;
    const { code } = await addInstance(`written-${what.length}`, '阿虾');
    users.say(user, written(code));
    await users.hears(user, bound('阿虾'));
  });

  test('with anything else around it is an ordinary message', async () => {
    const { code } = await addInstance('around', '阿虾');
    const texts = [`验证码 ${code}`, `${code}.`, `${code.slice(0, 3)} ${code.slice(3)}`, code.slice(1), `0${code}`];
    for (const text of texts) {
      users.say('wm-around', text);
      await users.hears('wm-around', unbound);
    }
    expect(await bindingOf('around')).toEqual({ bound: false, pendingCode: code });
  });

  test('works once: to everybody else, and to the user again, it is an ordinary message', async () => {
    const { code } = await addInstance('once', '阿虾');
    users.say('wm-once', code);
    await users.hears('wm-once', bound('阿虾'));
    users.say('wm-once-too', code);
    await users.hears('wm-once-too', unbound);
    users.say('wm-once', code);
    await users.hears('wm-once', thinking, answerTo(code));
    expect(await bindingOf('once')).toMatchObject({ bound: true, externalUserId: 'wm-once' });
  });

  test('sent by two users at once binds one of them', async () => {
    const { code, id } = await addInstance('both', '阿虾');
    const both = ['wm-both-1', 'wm-both-2'];
    pipeline.wecom.control.sendMessages(both.map((externalUserId) => ({ externalUserId, content: code })));
    await eventually('a reply to each', () => both.every((user) => pipeline.heard(user).length === 1), {
      withinMs: 30_000,
    });
    expect(both.flatMap((user) => pipeline.heard(user)).toSorted()).toEqual([bound('阿虾'), unbound].toSorted());
    const winner = both.find((user) => pipeline.heard(user)[0] === bound('阿虾'));
    expect(await bindingOf(id)).toMatchObject({ externalUserId: winner });
    for (const user of both) users.takesNote(user);
  });

  test('is voided by a newer one of its instance, and by removing the binding', async () => {
    const { code: first, id } = await addInstance('voided', '阿虾');
    const { code: second } = await makeCode(id);
    users.say('wm-voided', first);
    await users.hears('wm-voided', unbound);
    expect((await pipeline.api('DELETE', bindPath(id))).status).toBe(204);
    users.say('wm-voided', second);
    await users.hears('wm-voided', unbound);
    const { code: third } = await makeCode(id);
    users.say('wm-voided', third);
    await users.hears('wm-voided', bound('阿虾'));
  });

  test('that never was one is an ordinary message', async () => {
    await users.bind('wm-digits');
    users.say('wm-digits', '123456');
    await users.hears('wm-digits', thinking, answerTo('123456'));
  });

  test('of an instance that is gone says so', async () => {
    const { code, id } = await addInstance('gone', '阿虾');
    await pipeline.api('DELETE', `/instances/${id}`);
    users.say('wm-gone', code);
    await users.hears('wm-gone', render('instanceMissing'));
    // Nor does it open the instance that is registered under this id later.
    const { code: early } = await addInstance('gone-2', '阿虾');
    await pipeline.api('DELETE', '/instances/gone-2');
    await pipeline.api('POST', '/instances', { id: 'gone-2', name: '新虾', status: 'running', serverHost: '' });
    users.say('wm-gone', early);
    await users.hears('wm-gone', unbound);
    expect(await bindingOf('gone-2')).toEqual({ bound: false });
  });
});

describe('binding again', () => {
  test('replaces each side’s earlier binding', async () => {
    const [a, b] = [await addInstance('side-a', 'A'), await addInstance('side-b', 'B')];
    users.say('wm-left', a.code);
    users.say('wm-right', b.code);
    await users.hears('wm-left', bound('A'));
    await users.hears('wm-right', bound('B'));
    const { code } = await makeCode(b.id);
    users.say('wm-left', code);
    await users.hears('wm-left', bound('B'));
    expect(await bindingOf(a.id)).toEqual({ bound: false });
    expect(await bindingOf(b.id)).toMatchObject({ bound: true, externalUserId: 'wm-left' });
    users.say('wm-right', '我呢');
    await users.hears('wm-right', unbound);
    const msgid = users.say('wm-left', '你好');
    await users.hears('wm-left', thinking, answerTo('你好'));
    expect(await users.taskOf(msgid)).toMatchObject({ port: b.hostPort });
  });

  test('takes effect for the very next message, in the same page even', async () => {
    const [a, b] = [await addInstance('page-a', 'A'), await addInstance('page-b', 'B')];
    const [, first = ''] = users.sayAtOnce('wm-page', a.code, '一');
    await users.hears('wm-page', bound('A'), thinking, answerTo('一'));
    expect(await users.taskOf(first)).toMatchObject({ port: a.hostPort });

    const [before = '', , after = ''] = users.sayAtOnce('wm-page', '!never', b.code, '二');
    const heard = pipeline.heard('wm-page').length;
    await eventually('bound to B', () => pipeline.heard('wm-page').includes(bound('B')), { withinMs: 30_000 });
    await users.callBack(before, { content: '前一条好了' });
    await eventually('the answer of B', () => pipeline.heard('wm-page').at(-1)?.includes('「二」'), {
      withinMs: 30_000,
    });
    expect(await users.taskOf(before)).toMatchObject({ port: a.hostPort });
    expect(await users.taskOf(after)).toMatchObject({ port: b.hostPort });
    const texts = pipeline.heard('wm-page').slice(heard);
    expect(texts.filter((text) => text === bound('B'))).toHaveLength(1);
    expect(texts.indexOf('前一条好了')).toBeGreaterThanOrEqual(0);
    users.takesNote('wm-page');
  });
});

describe('a user who guesses', () => {
  const guess = async (user: string, count: number, start: number) => {
    for (let index = 0; index < count; index++) {
      const content = index.toString(16).padStart(6, '0');
      pipeline.wecom.control.sendMessage({ externalUserId: user, content, sendTime: start + index * 7 });
      await users.hears(user, unbound);
    }
  };

  test('ten times wrongly can still use a code', async () => {
    const now = Math.floor(Date.now() / 1000);
    await guess('wm-ten', 10, now - 80);
    const { code } = await addInstance('ten', '阿虾');
    users.say('wm-ten', code);
    await users.hears('wm-ten', bound('阿虾'));
  });

  test('more than ten times within ten minutes gets no look-up in that window, others do', async () => {
    const now = Math.floor(Date.now() / 1000);
    const { code } = await addInstance('guessed', '阿虾');
    await guess('wm-guesser', 11, now - 680);
    pipeline.wecom.control.sendMessage({ externalUserId: 'wm-guesser', content: code, sendTime: now - 603 });
    await users.hears('wm-guesser', unbound);
    expect(await bindingOf('guessed')).toEqual({ bound: false, pendingCode: code });
    users.say('wm-honest', code);
    await users.hears('wm-honest', bound('阿虾'));

    // By now the window has passed.
    const { code: second } = await makeCode('guessed');
    users.say('wm-guesser', second);
    await users.hears('wm-guesser', bound('阿虾'));
  });
});

describe('when it fails', () => {
  test('for reasons of ours, again and again, the user is told, and what follows goes on', async () => {
    const { code, id } = await addInstance('unlucky', '阿虾');
    const { mongoose, close } = await connectStore({ uri: pipeline.servers.mongoUri, logger: quiet });
    const validator = { externalUserId: { $ne: 'wm-unlucky' } };
    await mongoose.db?.command({ collMod: 'bindings', validator });
    users.sayAtOnce('wm-unlucky', code, '你好');
    await users.hears('wm-unlucky', render('bindFailed'), unbound);
    await mongoose.db?.command({ collMod: 'bindings', validator: {} });
    await close();
    users.say('wm-unlucky', (await makeCode(id)).code);
    await users.hears('wm-unlucky', bound('阿虾'));
  });

  test('a code whose time ran out says so, also when a newer one followed', async () => {
    await pipeline.services.binder.stop();
    await pipeline.services.binder.start({ CODE_TTL_MS: '1' });
    await pipeline.services.binder.ready();
    const { code: first, id } = await addInstance('expired', '阿虾');
    users.say('wm-expired', first);
    await users.hears('wm-expired', render('codeExpired'));
    const { code: second } = await makeCode(id);
    users.say('wm-expired', first.toLowerCase());
    users.say('wm-expired', second);
    await users.hears('wm-expired', render('codeExpired'), render('codeExpired'));
    expect(await bindingOf(id)).toEqual({ bound: false });
  });

  test('the API knows its callers, its instances and its fields', async () => {
    expect((await pipeline.api('POST', bindPath('nowhere'))).status).toBe(404);
    expect((await pipeline.api('GET', bindPath('nowhere'))).status).toBe(404);
    expect((await pipeline.api('DELETE', bindPath('nowhere'))).status).toBe(404);
    expect((await pipeline.api('DELETE', bindPath('lobster'))).status).toBe(204);
    expect((await pipeline.api('DELETE', bindPath('lobster'))).status).toBe(204);
    const url = `${pipeline.services.binder.url}/api/v1/agent${bindPath('lobster')}`;
    for (const authorization of ['', 'Bearer', `Bearer ${ADMIN_TOKEN}x`, ADMIN_TOKEN]) {
      const response = await fetch(url, { method: 'POST', headers: { authorization } });
      expect([authorization, response.status]).toEqual([authorization, 401]);
    }
  });
});

test('nobody got anything else', () => users.expectNothingElse());
