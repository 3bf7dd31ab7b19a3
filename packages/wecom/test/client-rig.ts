// A client against a scripted WeCom: a fresh one for each test.
import { afterEach, beforeEach, expect } from '@jest/globals';
import {
  createWecomClient,
  isWecomError,
  type WecomClient,
  type WecomClientOptions,
  type WecomError,
} from '../src/index.ts';
import { type ScriptedServer, startScriptedServer } from './scripted-server.ts';

export const SECRET = 'very-secret-value';
export const message = { openKfId: 'wk1', externalUserId: 'wm1', msgid: 'm1', content: '你好' };

export let server: ScriptedServer;
let clients: WecomClient[] = [];

export function connect(options: Partial<WecomClientOptions> = {}): WecomClient {
  const client = createWecomClient({ apiUrl: server.url, corpId: 'corp', secret: SECRET, timeoutMs: 2000, ...options });
  clients.push(client);
  return client;
}

export async function failureOf(call: Promise<unknown>): Promise<WecomError> {
  const error = await call.then(
    () => expect('the call').toBe('refused'),
    (reason: unknown) => reason,
  );
  if (!isWecomError(error)) throw error;
  return error;
}

export const bodyOf = (call = server.calls.at(-1)): unknown => JSON.parse(String(call?.body));

beforeEach(async () => {
  server = await startScriptedServer();
});

afterEach(async () => {
  await Promise.all(clients.map((client) => client.close()));
  clients = [];
  await server.close();
});
