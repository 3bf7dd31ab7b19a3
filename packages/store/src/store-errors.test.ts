import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import { expect, test } from '@jest/globals';
import { isStoreAway } from './store-errors.ts';

test('writing on a connection that the database has just ended means that it is away', async () => {
  const server = createServer((socket) => socket.end()).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1').resume();
  await once(client, 'end');
  server.close();
  const error = await new Promise((resolve) => client.once('error', resolve).write('x'));
  // No syscall has failed: Node has refused to make one, and the driver passes that on as it is.
  expect(error).toMatchObject({ code: 'EPIPE' });
  expect(isStoreAway(error)).toBe(true);
});

test('our own mistakes are not taken for an absent database', () => {
  expect(isStoreAway(new TypeError('no such field'))).toBe(false);
  expect(isStoreAway(Object.assign(new TypeError('wrong'), { code: 'ERR_INVALID_ARG_TYPE' }))).toBe(false);
});

test('a connection that the driver has given up, or that makes no sense any more, is one that is away', () => {
  for (const name of ['PoolClearedOnNetworkError', 'MongoServerClosedError', 'MongoUnexpectedServerResponseError'])
    expect(isStoreAway(Object.assign(new Error('interrupted'), { name }))).toBe(true);
  expect(isStoreAway(Object.assign(new Error('bad record'), { code: 'ERR_SSL_BAD_RECORD_MAC' }))).toBe(true);
});
