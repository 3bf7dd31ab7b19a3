// Codes that come up again, and what is left of them when a process dies half-way.
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import express from 'express';
import { eventually } from '../../../test/support/eventually.ts';
import { type OpenServers, openServers } from '../../../test/support/open-servers.ts';
import { bindCodeApi } from '../src/bind-code-api.ts';
import { instancesApi } from '../src/instances-api.ts';

let servers: OpenServers;
let server: Server;
let url = '';
let draws: string[] = [];
beforeAll(async () => {
  servers = await openServers();
  const drawCode = () => draws.shift() ?? 'FFFFFF';
  const app = express();
  app.use(bindCodeApi(() => servers.store, { codeTtlMs: 60_000, kfUrl: '', drawCode }));
  server = app.listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  for (const _id of ['i1', 'i2'])
    await servers.store.instances.create({ _id, name: 'x', status: 'running', serverHost: '', hostPort: 0 });
}, 120_000);
afterAll(async () => {
  await new Promise((resolve) => server?.close(resolve));
  await servers?.drop();
});

const makeCode = async (instanceId: string) => {
  const response = await fetch(`${url}/${instanceId}`, { method: 'POST' });
  return response.status === 201 ? ((await response.json()) as { code: string }).code : response.status;
};

test('a code that is in use, or was a while ago, is not given out again', async () => {
  draws = ['AAAAAA', 'AAAAAA', 'AAAAAA', 'BBBBBB', 'BBBBBB', 'AAAAAA', 'CCCCCC'];
  expect(await makeCode('i1')).toBe('AAAAAA');
  expect(await makeCode('i2')).toBe('BBBBBB');
  expect(await makeCode('i1')).toBe('CCCCCC');
  expect(await servers.store.bindingCodes.find('AAAAAA')).toMatchObject({ instanceId: 'i1', state: 'voided' });
  expect(await servers.store.bindingCodes.find('BBBBBB')).toMatchObject({ instanceId: 'i2', state: 'live' });
});

test('requests that draw the same code at the same time get different ones', async () => {
  draws = ['DDDDDD', 'DDDDDD', 'EEEEEE', 'EEEEE0'];
  const codes = await Promise.all([makeCode('i1'), makeCode('i2')]);
  expect(new Set(codes).size).toBe(2);
  expect(codes).toContain('DDDDDD');
  for (const instanceId of ['i1', 'i2'])
    expect(await servers.store.bindingCodes.findLive(instanceId, servers.store.now())).not.toBeNull();
});

test('a request whose sender has given up does not void the code of a later one', async () => {
  const { store } = servers;
  draws = ['AAAAA1', 'AAAAA2'];
  const begun: (() => void)[] = [];
  const transactions: Promise<unknown>[] = [];
  const slowStore: typeof store = {
    ...store,
    transaction(body) {
      const isFirst = transactions.length === 0;
      const mayGoOn = new Promise<void>((resolve) => begun.push(resolve));
      const done = store.transaction(async (session) => {
        if (isFirst) await mayGoOn;
        return body(session);
      });
      transactions.push(done);
      return done;
    },
  };
  const app = express();
  const closed: Promise<void>[] = [];
  app.use((_request, response, next) => {
    closed.push(new Promise((resolve) => response.once('close', resolve)));
    next();
  });
  app.use(bindCodeApi(() => slowStore, { codeTtlMs: 60_000, kfUrl: '', drawCode: () => draws.shift() ?? 'FFFFFF' }));
  const slow = app.listen(0, '127.0.0.1');
  await new Promise((resolve) => slow.once('listening', resolve));
  const post = (signal: AbortSignal | null) =>
    fetch(`http://127.0.0.1:${(slow.address() as AddressInfo).port}/i2`, { method: 'POST', signal });

  const giveUp = new AbortController();
  const first = post(giveUp.signal).catch(() => 'given up');
  await eventually('the first request is at work', () => begun.length === 1);
  giveUp.abort();
  expect(await first).toBe('given up');
  await closed[0];
  const { code } = (await (await post(null)).json()) as { code: string };
  begun[0]?.();
  await Promise.all(transactions);
  await new Promise((resolve) => slow.close(resolve));
  expect(await store.bindingCodes.find(code)).toMatchObject({ state: 'live' });
});

test('an instance is not made again unless the code of the one that had its id before is retired with it', async () => {
  const { store } = servers;
  draws = ['ABCDEF'];
  expect(await makeCode('i1')).toBe('ABCDEF');
  await store.transaction((session) => store.instances.remove('i1', session));
  let dies = true;
  const retireLive: typeof store.bindingCodes.retireLive = (...args) =>
    dies ? Promise.reject(new Error('the process died')) : store.bindingCodes.retireLive(...args);
  const fields = { _id: 'i1', name: 'x', status: 'running', serverHost: '', hostPort: 0 };
  const rules = { readNew: () => fields, readChanges: () => ({}) };
  const app = express();
  app.use(instancesApi(() => ({ ...store, bindingCodes: { ...store.bindingCodes, retireLive } }), rules));
  const instances = app.listen(0, '127.0.0.1');
  await new Promise((resolve) => instances.once('listening', resolve));
  const create = () => fetch(`http://127.0.0.1:${(instances.address() as AddressInfo).port}/`, { method: 'POST' });
  expect((await create()).status).toBe(500);
  expect(await store.instances.find('i1')).toBeNull();
  dies = false;
  expect((await create()).status).toBe(201);
  expect(await store.bindingCodes.find('ABCDEF')).toMatchObject({ state: 'voided' });
  await new Promise((resolve) => instances.close(resolve));
});
