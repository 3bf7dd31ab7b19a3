// A management API whose connections break: once is forgiven, as a connection kept alive may be closed at any moment.
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { createManagementApi } from '../src/index.ts';

let server: Server;
let asked = 0;
let breaks = 0;
beforeEach(async () => {
  asked = 0;
  server = createServer((request, response) => {
    asked++;
    if (breaks-- > 0) request.socket.destroy();
    else response.end('{"ok":true}');
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
});
afterEach(() => {
  server.closeAllConnections();
  return new Promise((resolve) => server.close(resolve));
});
const api = () => createManagementApi(`http://guest:guest@127.0.0.1:${(server.address() as AddressInfo).port}`);

test('a call whose connection breaks is made once more', async () => {
  breaks = 1;
  expect(await api().get('/overview')).toEqual({ ok: true });
  expect(asked).toBe(2);
});

test('one whose connection breaks again says that the API is away', async () => {
  breaks = 2;
  await expect(api().put('/vhosts/x', {})).rejects.toMatchObject({ code: 'management-away' });
  expect(asked).toBe(2);
});
