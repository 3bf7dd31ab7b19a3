// Drawing codes, when the same ones come up again.
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import express from 'express';
import { type OpenServers, openServers } from '../../../test/support/open-servers.ts';
import { bindCodeApi } from '../src/bind-code-api.ts';

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
