import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { longAnswer } from './answers.ts';
import { type BridgeSimulator, startBridgeSimulator } from './start-bridge-simulator.ts';

type Callback = { url: string; body: Record<string, unknown> };

let bridge: BridgeSimulator;
let router: Server;
let routerUrl: string;
let callbacks: Callback[];
/** Statuses of the next callbacks; 200 when empty. */
let statuses: number[];

beforeEach(async () => {
  callbacks = [];
  statuses = [];
  router = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    callbacks.push({ url: request.url ?? '', body: JSON.parse(Buffer.concat(chunks).toString()) });
    response.writeHead(statuses.shift() ?? 200).end('{"ok":true,"status":"accepted"}');
  });
  await new Promise<void>((resolve) => router.listen(0, '127.0.0.1', resolve));
  routerUrl = `http://127.0.0.1:${(router.address() as AddressInfo).port}`;
  bridge = await startBridgeSimulator({ behaviour: { delayMs: 5 } });
});
afterEach(async () => {
  await bridge.close();
  router.closeAllConnections();
  await new Promise((resolve) => router.close(resolve));
});

function taskBody(msgId: string, prompt: string, user = 'wm-a') {
  return {
    prompt,
    sessionKey: `agent:main:wx-${user}`,
    idempotencyKey: msgId,
    timeoutSeconds: 120,
    callbackUrl: `${routerUrl}/api/v1/agent/channels/wecom/bridge-callback?token=secret-1`,
    callbackData: { externalUserId: user, msgId },
  };
}

async function post(body: unknown, port = bridge.port, signal?: AbortSignal) {
  const response = await fetch(`http://127.0.0.1:${port}/task-async`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
    ...(signal === undefined ? {} : { signal }),
  });
  return { status: response.status, text: await response.text() };
}

async function eventually(check: () => void): Promise<void> {
  for (let tries = 0; ; tries += 1) {
    try {
      check();
      return;
    } catch (error) {
      if (tries >= 300) throw error;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
}

describe('a task', () => {
  it('is acked at once and answered by one callback that repeats the prompt', async () => {
    const acked = await post(taskBody('m1', '今天天气'));
    expect(acked).toEqual({ status: 200, text: '{"ok":true,"pending":true}' });
    await eventually(() => expect(bridge.control.task('m1')?.callbacks[0]?.status).toBe(200));
    expect(callbacks).toHaveLength(1);
    expect(callbacks[0]?.url).toContain('token=secret-1');
    expect(callbacks[0]?.body).toMatchObject({
      ok: true,
      isTimeout: false,
      content: expect.stringContaining('今天天气'),
      callbackData: { externalUserId: 'wm-a', msgId: 'm1' },
    });
    expect(bridge.control.counts()).toMatchObject({ posts: 1, tasks: 1, runs: 1, callbacks: 1, overlaps: 0 });
  });

  it('is refused and recorded when its body breaks the contract', async () => {
    const { sessionKey: _sessionKey, ...missing } = taskBody('m1', 'x');
    expect((await post({ ...missing, extra: 1 })).status).toBe(400);
    expect((await post({ ...taskBody('m1', ' x '), idempotencyKey: 'other' })).status).toBe(400);
    expect((await post({ ...taskBody('m1', 'x'), callbackUrl: 'http://h/other?token=t' })).status).toBe(400);
    expect(bridge.control.violations()).toHaveLength(3);
    expect(bridge.control.counts().tasks).toBe(0);
  });

  it('with a key seen before is acked again and not run again', async () => {
    await post(taskBody('m1', 'x'));
    await eventually(() => expect(callbacks).toHaveLength(1));
    expect((await post(taskBody('m1', 'x'))).text).toBe('{"ok":true,"pending":true}');
    expect(bridge.control.task('m1')).toMatchObject({ posts: 2, runs: 1 });
    bridge.control.changeSettings({ isIdempotent: false });
    await post(taskBody('m1', 'x'));
    await eventually(() => expect(callbacks).toHaveLength(2));
    expect(bridge.control.task('m1')).toMatchObject({ posts: 3, runs: 2 });
  });

  it('is called back again while the router answers 503, and not after any other answer', async () => {
    statuses = [503, 503, 200];
    await post(taskBody('m1', 'x'));
    await eventually(() => expect(bridge.control.task('m1')?.callbacks[0]?.hasEnded).toBe(true));
    expect(bridge.control.task('m1')?.callbacks).toMatchObject([{ attempts: 3, status: 200 }]);
    statuses = [401];
    await post(taskBody('m2', 'x'));
    await eventually(() => expect(bridge.control.task('m2')?.callbacks[0]?.hasEnded).toBe(true));
    expect(bridge.control.task('m2')?.callbacks).toMatchObject([{ attempts: 1, status: 401 }]);
  });

  it('of a user that still has one running is an overlap; of another user it is none', async () => {
    bridge.control.changeSettings({ behaviour: { delayMs: 200 } });
    await post(taskBody('m1', 'x'));
    await post(taskBody('m2', 'x', 'wm-b'));
    expect(bridge.control.overlaps()).toEqual([]);
    await post(taskBody('m3', 'x'));
    expect(bridge.control.overlaps()).toMatchObject([{ externalUserId: 'wm-a', earlier: 'm1', later: 'm3' }]);
  });
});

describe('a prompt command', () => {
  it('asks for long answers of an exact size', async () => {
    for (let bytes = 0; bytes < 2500; bytes += 1) expect(Buffer.byteLength(longAnswer(bytes))).toBe(bytes);
    await post(taskBody('m1', '长文'));
    await post(taskBody('m2', 'long 9001'));
    await eventually(() => expect(callbacks).toHaveLength(2));
    expect(callbacks.map(({ body }) => Buffer.byteLength(String(body.content))).sort()).toEqual([6000, 9001]);
  });

  it.each([
    ['!refuse agent not connected', 200, '{"ok":false,"error":"agent not connected"}'],
    ['!status 503', 503, '{"error":"the bridge is broken"}'],
    ['!not-json', 200, '<html>proxy error</html>'],
  ])('%s spoils the ack and runs nothing', async (prompt, status, text) => {
    expect(await post(taskBody('m1', prompt))).toEqual({ status, text });
    expect(bridge.control.task('m1')).toMatchObject({ runs: 0, endedAt: expect.any(Number) });
  });

  it('cuts, hangs and blows up the ack', async () => {
    await expect(post(taskBody('m1', '!drop-before'))).rejects.toThrow();
    expect(bridge.control.task('m1')?.runs).toBe(0);
    await expect(post(taskBody('m2', '!drop-after'))).rejects.toThrow();
    await expect(post(taskBody('m3', '!no-ack'), bridge.port, AbortSignal.timeout(50))).rejects.toThrow();
    expect((await post(taskBody('m4', '!huge-ack'))).text.length).toBeGreaterThan(256 * 1024);
    await eventually(() => expect(callbacks).toHaveLength(3));
  });

  it.each([
    ['!error disconnected', { ok: false, content: 'disconnected', isTimeout: false }],
    ['!timeout', { ok: false, isTimeout: true }],
    ['!top-level', { ok: true, msgId: 'm1', callbackData: { externalUserId: 'wm-a' } }],
    ['空', { ok: true, content: '' }],
  ])('%s shapes the callback', async (prompt, body) => {
    await post(taskBody('m1', prompt));
    await eventually(() => expect(callbacks).toMatchObject([{ body }]));
  });

  it('calls back twice, early, with a forged token, too much or never', async () => {
    await post(taskBody('m1', '!twice'));
    await eventually(() => expect(callbacks).toHaveLength(2));
    expect(callbacks[0]?.body.content).not.toBe(callbacks[1]?.body.content);
    await post(taskBody('m2', '!early', 'wm-b'));
    expect(callbacks).toHaveLength(3);
    await post(taskBody('m3', '!forged', 'wm-c'));
    await eventually(() => expect(callbacks[3]?.url).toContain('token=1-terces'));
    await post(taskBody('m4', '!oversize', 'wm-d'));
    await eventually(() => expect(String(callbacks[4]?.body.content).length).toBeGreaterThan(90_000));
    await post(taskBody('m5', '!never', 'wm-e'));
    await eventually(() => expect(bridge.control.task('m5')).toMatchObject({ result: 'none', endedAt: null }));
    expect(callbacks).toHaveLength(5);
  });
});

describe('rules and listeners', () => {
  it('give each port, user and prompt a behaviour of its own', async () => {
    const port = await bridge.control.listen();
    bridge.control.addRule({ port, behaviour: { ack: 'refuse', ackError: 'gone' } });
    bridge.control.addRule({ user: 'wm-b', count: 1, behaviour: { ack: 'status', ackStatus: 500 } });
    expect((await post(taskBody('m1', 'x'), port)).text).toContain('gone');
    expect((await post(taskBody('m2', 'x'))).text).toContain('pending');
    expect((await post(taskBody('m3', 'x', 'wm-b'))).status).toBe(500);
    expect((await post(taskBody('m4', 'x', 'wm-b'))).status).toBe(200);
  });

  it('let an instance die with its tasks and come back on the same port', async () => {
    const response = await fetch(`${bridge.url}/control/listeners`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{"port":0}',
    });
    const { port } = (await response.json()) as { port: number };
    bridge.control.changeSettings({ behaviour: { delayMs: 50 } });
    await post(taskBody('m1', 'x'), port);
    await bridge.control.stopListening(port);
    await expect(post(taskBody('m2', 'x'), port)).rejects.toThrow();
    await eventually(() => expect(bridge.control.task('m1')?.result).toBe('none'));
    expect(await bridge.control.listen(port)).toBe(port);
    expect((await post(taskBody('m2', 'x'), port)).status).toBe(200);
  });
});
