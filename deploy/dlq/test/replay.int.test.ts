// What a replay of each kind of dead letter puts into the mailboxes, and that it does so once.
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Publisher } from '@pipeline/broker';
import { RetryableError } from '@pipeline/runtime';
import type { NewDeadLetter } from '@pipeline/store';
import { eventually } from '../../../test/support/eventually.ts';
import { type OpenServers, openServers } from '../../../test/support/open-servers.ts';
import { createReplay, type Replay } from '../replay.ts';

const userKey = 'wk1:wm-user';
let servers: OpenServers;
let replay: Replay;
let count = 0;

beforeAll(async () => {
  servers = await openServers();
  replay = createReplay({ store: servers.store, publisher: servers.broker });
}, 120_000);
afterAll(() => servers?.drop(), 20_000);

/** @returns the letter's id */
async function kept(
  service: string,
  type: string,
  messageId: string,
  body: unknown,
  more: Partial<NewDeadLetter> = {},
) {
  const origin = { type, messageId, correlationId: 'c', userKey, exchange: null };
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  await servers.store.deadLetters.keep({ service, reason: 'r', code: 'c', attempts: 5, origin, body: text, ...more });
  return `${service}:${messageId}`;
}
const newId = () => `m${++count}`;
const item = (msgId: string, more = {}) => {
  const common = { msgId, sendTime: 5, receivedAt: 6_000, msgtype: 'text', text: '你好', decidedBy: null, match: null };
  return { ...common, ...more };
};
const stateOf = async (id: string) => (await servers.store.deadLetters.find(id))?.state;
const arrivedFor = (messageId: string) => servers.arrived.filter((one) => one.messageId === messageId);
const arrives = (messageId: string, times = 1) =>
  eventually(`${messageId} arrives`, () => arrivedFor(messageId).length >= times).then(() => arrivedFor(messageId));

test('a customer’s message comes again under a new id, in the mailbox it died in', async () => {
  const msgId = newId();
  const id = await kept('router', 'customer.item', msgId, item(msgId));
  await replay(id);
  expect(await arrives(`${msgId}~1`)).toMatchObject([
    { queue: expect.stringMatching(/^router/), type: 'customer.item', body: { ...item(`${msgId}~1`) } },
  ]);
  expect(await stateOf(id)).toBe('replayed');
});

test('two operators at once replay a letter once', async () => {
  const msgId = newId();
  const id = await kept('router', 'customer.item', msgId, item(msgId));
  const outcomes = await Promise.allSettled([replay(id), replay(id), replay(id)]);
  expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  await expect(replay(id)).rejects.toMatchObject({
    code: 'not-replayable',
    message: expect.stringMatching(/replayed/),
  });
  expect(await arrives(`${msgId}~1`)).toHaveLength(1);
});

test('what could not be published waits, and goes out under the same number', async () => {
  const msgId = newId();
  const id = await kept('sender', 'customer.item', msgId, item(msgId));
  const refusing: Publisher = {
    publish: () => Promise.reject(new RetryableError('publish-unconfirmed', 'no confirm')),
  };
  const failing = createReplay({ store: servers.store, publisher: refusing });
  await expect(failing(id)).rejects.toMatchObject({ code: 'publish-unconfirmed' });
  await replay(id);
  expect(await arrives(`${msgId}~1`)).toHaveLength(1);
});

test('a replay that died is replayed under the next number', async () => {
  const msgId = newId();
  const id = await kept('router', 'customer.item', msgId, item(msgId));
  await replay(id);
  await kept('router', 'customer.item', `${msgId}~1`, item(`${msgId}~1`));
  await replay(id);
  expect(await arrives(`${msgId}~2`)).toMatchObject([{ body: { msgId: `${msgId}~2` } }]);
});

test('a text gets a new id of its own and is no courtesy grown old; what is left of one comes with its exact bytes', async () => {
  const msgId = newId();
  const text = { textId: `${msgId}:answer`, msgId, kind: 'answer', decidedAt: 1, content: '一二三' };
  await replay(await kept('sender', 'text', text.textId, text));
  const [whole] = await arrives(`${msgId}:answer~1`);
  expect(whole?.body).toMatchObject({ ...text, textId: `${msgId}:answer~1`, decidedAt: expect.any(Number) });
  expect(Number(whole?.body.decidedAt)).toBeGreaterThan(servers.store.now() - 60_000);

  const parts = [{ content: '二', at: 1, fence: null }];
  await replay(await kept('sender', 'text', `${msgId}:answer#1`, { ...text, textId: `${msgId}:answer#1`, parts }));
  expect(await arrives(`${msgId}:answer#1~1`)).toMatchObject([{ body: { textId: `${msgId}:answer#1~1`, parts } }]);
});

test.each([
  ['router', 'item.settled', { msgId: 'x', consumed: true }],
  ['router', 'bridge.answered', { msgId: 'x', ok: true, content: '好', isTimeout: false }],
  ['sender', 'msg_send_fail', { msgId: 'x', failMsgid: 'f', failType: 4 }],
  ['sender', 'settlement.asked', { msgId: 'x' }],
  ['sender', 'call.settled', { callId: 'x#1', outcome: { kind: 'sent' } }],
])('the %s is told again of %s, as it was', async (service, type, body) => {
  const messageId = newId();
  await replay(await kept(service, type, messageId, body));
  expect(await arrives(`${messageId}~1`)).toMatchObject([{ type, body, queue: expect.stringMatching(`^${service}`) }]);
});

test('an item goes to the router as ingest publishes it, however old it is', async () => {
  const msgid = newId();
  const raw = {
    msgid,
    origin: 3,
    external_userid: 'wm-user',
    send_time: 5,
    msgtype: 'text',
    text: { content: '你好' },
  };
  await replay(await kept('ingest', 'message', msgid, raw));
  expect(await arrives(`${msgid}~1`)).toMatchObject([
    {
      queue: expect.stringMatching('^router'),
      body: { msgId: `${msgid}~1`, sendTime: 5, text: '你好', decidedBy: null },
    },
  ]);
});

test('what can’t be replayed says so and keeps waiting', async () => {
  const refused = async (id: string, why: RegExp) => {
    await expect(replay(id)).rejects.toMatchObject({ code: 'not-replayable', message: expect.stringMatching(why) });
    expect(await stateOf(id)).toBe('waiting');
  };
  await refused(await kept('router', 'customer.item', newId(), 'no json'), /unreadable/);
  await refused(await kept('router', 'customer.item', newId(), { msgId: '' }), /msgId/);
  await refused(await kept('router', 'who.knows', newId(), {}), /no message of type "who.knows"/);
  await refused(await kept('sender', 'text', newId(), { ...item('m'), parts: [] }), /textId/);
  await refused(await kept('ingest', 'item', newId(), { msgid: 'x', origin: 7 }), /only records/);
  await expect(replay('router:nobody')).rejects.toMatchObject({ code: 'letter-missing' });
});
