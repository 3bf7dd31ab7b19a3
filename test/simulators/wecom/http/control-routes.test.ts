import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { startWecomSimulator, type WecomSimulator } from '../start-wecom-simulator.ts';
import { createWecomApi } from '../wecom-api.ts';

let simulator: WecomSimulator;

beforeEach(async () => {
  simulator = await startWecomSimulator();
});
afterEach(() => simulator.close());

async function control(method: string, path: string, body?: unknown) {
  const response = await fetch(`${simulator.url}/control${path}`, {
    method,
    headers: { 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

it('adds messages one by one and in batches, and says which were sent and refused since when', async () => {
  const one = await control('POST', '/messages', { externalUserId: 'wm-a', content: 'hi' });
  expect(one).toMatchObject({ status: 201, body: { msgid: expect.any(String), sendTime: expect.any(Number) } });
  const many = await control('POST', '/messages/batch', {
    messages: [{ externalUserId: 'wm-b', msgtype: 'image' }, { raw: { origin: 5, msgtype: 'text' } }],
  });
  expect(many.body).toMatchObject({ messages: [{ msgid: expect.any(String) }, { msgid: null }] });

  const api = createWecomApi(simulator);
  await api.sendText('wm-a', 'first', 'm1');
  await api.sendText('wm-a', 'second', 'm2');
  const { sent } = (await control('GET', '/sent?user=wm-a')).body as { sent: { msgid: string; acceptedAt: number }[] };
  expect(sent.map(({ msgid }) => msgid)).toEqual(['m1', 'm2']);
  const since = await control('GET', `/sent?user=wm-a&since=${sent[0]?.acceptedAt}`);
  expect(since.body).toMatchObject({ sent: [{ msgid: 'm2' }] });
  await api.sendText('wm-a', 'second', 'm2');
  expect((await control('GET', '/refused')).body).toMatchObject({ refused: [{ errcode: 95033 }] });
  const { calls } = (await control('GET', '/calls')).body;
  expect(calls).toMatchObject({ send_msg: { total: 3, byCode: { 0: 2, 95033: 1 }, maxInFlight: 1 } });
});

it('sets and removes faults, settings and the clock, and refuses what it does not know', async () => {
  const fault = await control('POST', '/faults', { api: 'send_msg', action: { kind: 'drop' } });
  expect(fault).toMatchObject({ status: 201, body: { id: expect.any(String), hits: 0 } });
  expect((await control('DELETE', '/faults')).body).toEqual({ removed: 1 });
  const settings = await control('PATCH', '/settings', { allowance: 3 });
  expect(settings.body).toMatchObject({ allowance: 3, textBytes: 2048 });
  await control('POST', '/clock', { offsetMs: 1000 });
  expect((await control('GET', '/state')).body).toMatchObject({ offsetMs: 1000, settings: { allowance: 3 } });
  expect((await control('POST', '/faults', { api: 'x', action: { kind: 'magic' } })).status).toBe(400);
  expect((await control('POST', '/messages', { content: 'nobody' })).status).toBe(400);
  expect((await control('POST', '/msg-send-fail', { msgid: 'none', failType: 1 })).status).toBe(404);
});

it('forgets everything on a reset, but keeps tokens and cursors of running services good', async () => {
  const api = createWecomApi(simulator);
  await control('POST', '/messages', { externalUserId: 'wm-a', content: 'hi' });
  const { next_cursor: cursor } = await api.sync();
  await control('POST', '/reset');
  expect((await control('GET', '/messages')).body).toEqual({ messages: [] });
  await control('POST', '/messages', { externalUserId: 'wm-a', content: 'again' });
  expect(await api.sync({ cursor })).toMatchObject({ errcode: 0, msg_list: [{ text: { content: 'again' } }] });
});

it('streams what happens as Server-Sent Events, from where a reader left off', async () => {
  await control('POST', '/messages', { externalUserId: 'wm-a', content: 'hi' });
  const reader = new AbortController();
  const response = await fetch(`${simulator.url}/control/events?after=0`, { signal: reader.signal });
  expect(response.headers.get('content-type')).toMatch('text/event-stream');
  await createWecomApi(simulator).sendText('wm-a', 'answer');
  let text = '';
  const decoder = new TextDecoder();
  for await (const chunk of response.body ?? []) {
    text += decoder.decode(chunk as Uint8Array, { stream: true });
    if (text.includes('event: sent')) break;
  }
  reader.abort();
  expect(text.indexOf('event: customerMessage')).toBeLessThan(text.indexOf('event: sent'));
  expect(text).toMatch(/data: \{.*"content":"answer"/);
});
