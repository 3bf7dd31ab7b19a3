// The operator's API and the codes, over HTTP, on a real MongoDB and RabbitMQ.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { readConfig, type Service } from '@pipeline/runtime';
import { eventually } from '../../../test/support/eventually.ts';
import { type OpenServers, openServers, quiet } from '../../../test/support/open-servers.ts';
import { freePorts } from '../../../test/support/pipeline.ts';
import { binderSettings } from '../src/config.ts';
import { createBinder } from '../src/service.ts';

const TOKEN = 'operator-token';
let origin = '';
let servers: OpenServers;
let binder: Service;

beforeAll(async () => {
  const [port = 0] = await freePorts(1);
  origin = `http://127.0.0.1:${port}`;
  servers = await openServers();
  binder = createBinder(
    readConfig(binderSettings, {
      RABBITMQ_URL: servers.amqpUrl,
      MONGODB_URI: servers.mongoUri,
      PARTITIONS: String(servers.partitions),
      BINDER_PORT: String(port),
      ADMIN_API_TOKEN: TOKEN,
      IT0_WECOM_KF_URL: 'https://work.weixin.qq.com/kfid/kfc0',
    }),
    quiet,
  );
  await binder.start();
}, 120_000);
afterAll(async () => {
  await binder?.stop();
  await servers?.drop();
});

let id = '';
let count = 0;
beforeEach(async () => {
  id = `instance-${count++}`;
  await call('POST', '/instances', { id, name: '小虾', status: 'running', serverHost: '127.0.0.1', hostPort: 9000 });
});

async function call(method: string, path: string, body?: unknown, headers: Record<string, string> = {}) {
  const response = await fetch(`${origin}/api/v1/agent${path}`, {
    method,
    headers: {
      authorization: `Bearer ${TOKEN}`,
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...headers,
    },
    body: body === undefined ? null : typeof body === 'string' ? body : JSON.stringify(body),
  });
  const text = await response.text();
  return { status: response.status, body: text === '' ? undefined : JSON.parse(text) };
}
const bindPath = (instanceId = id) => `/channels/wecom/bind/${instanceId}`;
const errorOf = (code: string, message: unknown) => ({ error: { code, message } });

test('the service is ready once the queue is subscribed', async () => {
  await eventually('readiness', async () => (await fetch(`${origin}/readyz`)).status === 200);
  expect((await fetch(`${origin}/healthz`)).status).toBe(200);
});

describe('the token', () => {
  test.each([
    ['', 'none'],
    ['Bearer', 'an empty one'],
    ['Bearer operator-toke', 'a wrong one'],
    ['Basic operator-token', 'another scheme'],
  ])('%j: %s is answered 401', async (authorization) => {
    for (const [method, path] of [
      ['GET', '/instances'],
      ['POST', bindPath()],
      ['GET', '/nothing-here'],
    ] as const)
      expect(await call(method, path, undefined, { authorization })).toMatchObject({
        status: 401,
        body: errorOf('unauthorized', expect.any(String)),
      });
  });
});

describe('instances', () => {
  const fields = { name: '小龙虾', status: 'running', serverHost: 'bridge-1.local', hostPort: 8080 };

  test('are created once, read, changed field by field and deleted', async () => {
    const path = `/instances/${id}-b`;
    const created = { id: `${id}-b`, ...fields };
    expect(await call('POST', '/instances', { ...created, unknown: true })).toEqual({ status: 201, body: created });
    expect(await call('POST', '/instances', created)).toMatchObject({
      status: 409,
      body: errorOf('instance-exists', expect.any(String)),
    });
    expect(await call('GET', path)).toEqual({ status: 200, body: created });
    const changed = { ...created, status: 'stopped' };
    expect(await call('PATCH', path, { status: 'stopped', id: 'other', colour: 1 })).toEqual({
      status: 200,
      body: changed,
    });
    expect(await call('PATCH', path, {})).toEqual({ status: 200, body: changed });
    expect((await call('DELETE', path)).status).toBe(204);
    for (const method of ['GET', 'DELETE']) expect((await call(method, path)).status).toBe(404);
    expect((await call('PATCH', path, { status: 'running' })).status).toBe(404);
  });

  test('may have no bridge yet, and get one later with host and port', async () => {
    const path = `/instances/${id}-b`;
    const created = await call('POST', '/instances', { id: `${id}-b`, name: 'x', status: 'starting', serverHost: '' });
    expect(created).toMatchObject({ status: 201, body: { serverHost: '', hostPort: 0 } });
    expect(await call('PATCH', path, { serverHost: '10.0.0.1' })).toMatchObject({
      status: 400,
      body: errorOf('invalid-field', expect.stringContaining('hostPort')),
    });
    expect(await call('PATCH', path, { serverHost: '10.0.0.1', hostPort: 80 })).toMatchObject({ status: 200 });
    expect(await call('PATCH', path, { serverHost: '' })).toMatchObject({
      status: 200,
      body: { serverHost: '', hostPort: 80 },
    });
  });

  test('are listed in pages', async () => {
    const ids = ['page-1', 'page-2', 'page-3'];
    for (const each of ids) await call('POST', '/instances', { ...fields, id: each });
    const first = await call('GET', '/instances?limit=2&after=page-');
    expect(first.body).toMatchObject({ items: [{ id: 'page-1' }, { id: 'page-2' }], next: 'page-2' });
    const second = await call('GET', `/instances?limit=2&after=${first.body.next}`);
    expect(second.body).toMatchObject({ items: [{ id: 'page-3' }], next: null });
    expect((await call('GET', '/instances')).body.items.length).toBeGreaterThanOrEqual(4);
    for (const limit of ['0', '101', 'x', '-1', '1.5', ''])
      expect(await call('GET', `/instances?limit=${limit}`)).toMatchObject({
        status: 400,
        body: errorOf('invalid-field', expect.stringContaining('limit')),
      });
  });

  test.each([
    ['id', { id: '' }],
    ['id', { id: 'a/b' }],
    ['id', { id: '..' }],
    ['id', { id: 7 }],
    ['id', { id: undefined }],
    ['id', { id: 'x'.repeat(129) }],
    ['name', { name: ' ' }],
    ['name', { name: 'x'.repeat(101) }],
    ['name', { name: null }],
    ['name', { name: 'a\nb' }],
    ['status', { status: '' }],
    ['status', { status: 'x'.repeat(51) }],
    ['status', { status: 1 }],
    ['serverHost', { serverHost: undefined }],
    ['serverHost', { serverHost: '169.254.169.254' }],
    ['serverHost', { serverHost: '2852039166' }],
    ['serverHost', { serverHost: '::ffff:169.254.169.254' }],
    ['serverHost', { serverHost: '[fe80::1]' }],
    ['serverHost', { serverHost: '0.0.0.0' }],
    ['serverHost', { serverHost: '224.0.0.1' }],
    ['serverHost', { serverHost: 'http://bridge' }],
    ['serverHost', { serverHost: 'bridge:80' }],
    ['serverHost', { serverHost: 'bad host' }],
    ['serverHost', { serverHost: '-x' }],
    ['serverHost', { serverHost: '1.2.3.999' }],
    ['hostPort', { hostPort: undefined }],
    ['hostPort', { hostPort: 0 }],
    ['hostPort', { hostPort: 65_536 }],
    ['hostPort', { hostPort: '80' }],
    ['hostPort', { hostPort: 1.5 }],
  ])('a wrong %s is named: %j', async (field, wrong) => {
    expect(await call('POST', '/instances', { id: `${id}-c`, ...fields, ...wrong })).toMatchObject({
      status: 400,
      body: errorOf('invalid-field', expect.stringContaining(`${field}:`)),
    });
    expect((await call('GET', `/instances/${id}-c`)).status).toBe(404);
  });

  test.each(['127.0.0.1', '::1', '[::1]', '10.0.0.1', 'localhost', 'a_b-c.example.com', 'host.docker.internal.'])(
    '%s may be a host',
    async (serverHost) => {
      expect((await call('PATCH', `/instances/${id}`, { serverHost })).status).toBe(200);
    },
  );

  test.each([
    ['{"id":', 'cut off'],
    ['[]', 'an array'],
    ['null', 'null'],
    ['"x"', 'a string'],
  ])('%s (%s) is no body', async (body) => {
    expect(await call('POST', '/instances', body)).toMatchObject({
      status: 400,
      body: errorOf('malformed', expect.any(String)),
    });
  });

  test('no body at all lacks every field', async () => {
    const { status, body } = await call('POST', '/instances');
    expect(status).toBe(400);
    for (const field of ['id', 'name', 'status', 'serverHost']) expect(body.error.message).toContain(`${field}:`);
  });

  test('a body of over 256 KiB is answered 413', async () => {
    const body = { ...fields, id: `${id}-d`, name: 'x'.repeat(256 * 1024) };
    expect(await call('POST', '/instances', body)).toMatchObject({
      status: 413,
      body: errorOf('body-too-large', expect.any(String)),
    });
  });

  test('deleting one unbinds its user; its code lives to say that it is gone, unless the id is used again', async () => {
    const { body } = await call('POST', bindPath());
    await servers.store.transaction((session) =>
      servers.store.bindings.replace({ _id: `wk:${id}`, instanceId: id, externalUserId: 'wm1', boundAt: 1 }, session),
    );
    await call('DELETE', `/instances/${id}`);
    expect(await servers.store.bindings.findByInstance(id)).toBeNull();
    expect(await servers.store.bindingCodes.find(body.code)).toMatchObject({ state: 'live' });
    await call('POST', '/instances', { ...fields, id });
    expect(await servers.store.bindingCodes.find(body.code)).toMatchObject({ state: 'voided' });
  });
});

describe('codes', () => {
  test('a code is six upper-case hex digits, lives 15 min and comes with the link', async () => {
    const before = Date.now();
    const { status, body } = await call('POST', bindPath());
    expect(status).toBe(201);
    expect(body).toEqual({
      code: expect.stringMatching(/^[0-9A-F]{6}$/),
      expiresAt: expect.any(Number),
      kfUrl: 'https://work.weixin.qq.com/kfid/kfc0',
    });
    expect(Math.abs(body.expiresAt - before - 900_000)).toBeLessThan(20_000);
    expect(await call('GET', bindPath())).toEqual({ status: 200, body: { bound: false, pendingCode: body.code } });
  });

  test('a new code voids the one before', async () => {
    const first = (await call('POST', bindPath())).body.code;
    const second = (await call('POST', bindPath())).body.code;
    expect(await servers.store.bindingCodes.find(first)).toMatchObject({ state: 'voided' });
    expect((await call('GET', bindPath())).body.pendingCode).toBe(second);
  });

  test('of codes asked for at the same time all are given out and one lives', async () => {
    const answers = await Promise.all(Array.from({ length: 20 }, () => call('POST', bindPath())));
    expect(answers.map((answer) => answer.status)).toEqual(Array(20).fill(201));
    const codes = await Promise.all(answers.map(({ body }) => servers.store.bindingCodes.find(body.code)));
    expect(codes.filter((code) => code?.state === 'live')).toHaveLength(1);
    expect(codes.filter((code) => code?.state === 'voided')).toHaveLength(19);
  });

  test('a code asked for while its instance is deleted is given out or refused, and the instance stays gone', async () => {
    for (let round = 0; round < 5; round++) {
      const instanceId = `${id}-race-${round}`;
      await call('POST', '/instances', { id: instanceId, name: 'x', status: 'running', serverHost: '' });
      const [made, deleted] = await Promise.all([
        call('POST', bindPath(instanceId)),
        call('DELETE', `/instances/${instanceId}`),
      ]);
      expect(deleted.status).toBe(204);
      expect([201, 404]).toContain(made.status);
      expect((await call('GET', bindPath(instanceId))).status).toBe(404);
      expect((await call('POST', bindPath(instanceId))).status).toBe(404);
    }
  });

  test('DELETE unbinds and voids, also when there is nothing to unbind', async () => {
    const { body } = await call('POST', bindPath());
    await servers.store.transaction((session) =>
      servers.store.bindings.replace({ _id: `wk:${id}`, instanceId: id, externalUserId: 'wm1', boundAt: 5 }, session),
    );
    expect((await call('GET', bindPath())).body).toEqual({
      bound: true,
      externalUserId: 'wm1',
      boundAt: 5,
      pendingCode: body.code,
    });
    expect((await call('DELETE', bindPath())).status).toBe(204);
    expect((await call('GET', bindPath())).body).toEqual({ bound: false });
    expect((await call('DELETE', bindPath())).status).toBe(204);
  });

  test.each(['POST', 'GET', 'DELETE'])('%s of an unknown instance is answered 404', async (method) => {
    expect(await call(method, bindPath('unknown'))).toMatchObject({
      status: 404,
      body: errorOf('instance-missing', expect.any(String)),
    });
  });
});
