import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setImmediate } from 'node:timers/promises';
import { afterEach, expect, test } from '@jest/globals';
import { parseNetworks } from '@pipeline/runtime';
import type { Turn } from '../conversation/conversation-state.ts';
import { type BridgeTask, createBridgeClient } from './bridge-client.ts';

const bridge = createServer();
afterEach(() => {
  bridge.close();
  bridge.closeAllConnections();
});

test('a call that our own stop breaks off has no outcome: the bridge may have taken the task', async () => {
  bridge.listen(0, '127.0.0.1');
  await once(bridge, 'listening');
  const client = createBridgeClient({
    ackTimeoutMs: 15_000,
    allowedNetworks: parseNetworks(''),
    breakers: { fire: (_instanceId, call) => call() },
  });
  const { port: hostPort } = bridge.address() as AddressInfo;
  const turn = { instanceId: 'i', serverHost: '127.0.0.1', hostPort } as Turn;
  const outcome = client.postTask(turn, { prompt: 'x' } as BridgeTask);
  await once(bridge, 'request');
  await client.close();
  expect(await Promise.race([outcome, setImmediate('none')])).toBe('none');
});
