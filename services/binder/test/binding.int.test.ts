// binder.matches on a real RabbitMQ and MongoDB: what is bound, what is said, and that both are done once.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { Publisher } from '@pipeline/broker';
import { BINDER_QUEUE, type BindingMatched, exchanges, userKeyOf } from '@pipeline/contracts';
import { createMetrics, RetryableError } from '@pipeline/runtime';
import { render } from '@pipeline/texts';
import { eventually } from '../../../test/support/eventually.ts';
import { type OpenServers, openServers, quiet } from '../../../test/support/open-servers.ts';
import { type BindUser, createBindUser } from '../src/bind-user.ts';
import { createMatchConsumer, type MatchConsumer } from '../src/consume-matches.ts';
import { createMatchHandler } from '../src/handle-binding-matched.ts';

let servers: OpenServers;
let consumer: MatchConsumer;
beforeAll(async () => {
  servers = await openServers();
}, 120_000);
afterAll(() => servers?.drop());

// Every test has users, codes and an instance of its own.
let number = 0;
let instanceId = '';
let match: BindingMatched;
beforeEach(async () => {
  number++;
  instanceId = `instance-${number}`;
  match = { openKfId: 'wk1', externalUserId: `wm-${number}`, msgId: `msg-${number}`, match: 'claimed' };
  await servers.store.instances.create({
    _id: instanceId,
    name: '小虾',
    status: 'running',
    serverHost: '',
    hostPort: 0,
  });
});
afterEach(() => consumer?.stop());

function startBinder(parts: { bindUser?: BindUser; publisher?: Publisher } = {}) {
  const { store, broker } = servers;
  const matches = createMatchHandler({
    bindingCodes: store.bindingCodes,
    bindUser: parts.bindUser ?? createBindUser(store),
    publisher: parts.publisher ?? broker,
  });
  consumer = createMatchConsumer({ broker, store, matches, logger: quiet, metrics: createMetrics('binder') });
  consumer.start();
}

const codeOf = () => number.toString(16).toUpperCase().padStart(6, '0');

/** Makes a code for the test's instance, and claims it for the test's item as ingest would. */
async function claimCode(code = codeOf(), given = match) {
  const { store } = servers;
  await store.transaction((session) => store.bindingCodes.create(code, instanceId, store.now(), 60_000, session));
  expect(await store.bindingCodes.claim(code, userKeyOf(given), given.msgId, store.now())).toBe(true);
}

let sent = 0;
const send = (body: unknown, type = 'binding.matched') =>
  servers.broker.publish(exchanges.binder, BINDER_QUEUE, { type, messageId: `m-${++sent}`, correlationId: 'c', body });

/** What has arrived about an item: settlements first, then texts. */
const arrivedAbout = (msgId = match.msgId) =>
  servers.arrived
    .filter(({ body }) => body.msgId === msgId)
    .sort((a, b) => Number(a.type > b.type) - Number(a.type < b.type));
const settledTimes = (times: number, msgId?: string) =>
  eventually(
    `${times} settlements`,
    () => arrivedAbout(msgId).filter(({ type }) => type === 'item.settled').length === times,
  );

const textAbout = (key: string, content: string, msgId = match.msgId) => ({
  type: 'text',
  messageId: `${msgId}:${key}`,
  correlationId: msgId,
  body: { textId: `${msgId}:${key}`, msgId, kind: 'answer', decidedAt: expect.any(Number), content },
});
const settledAbout = (consumed: boolean, msgId = match.msgId) => ({
  type: 'item.settled',
  messageId: `${msgId}:settled`,
  correlationId: msgId,
  body: { msgId, consumed },
});

describe('a claimed code', () => {
  test('binds user and instance, says so, and settles the item', async () => {
    await claimCode();
    startBinder();
    await send(match);
    await settledTimes(1);
    expect(arrivedAbout()).toMatchObject([settledAbout(true), textAbout('bound', render('bound', { name: '小虾' }))]);
    expect(await servers.store.bindings.findByUser(userKeyOf(match))).toMatchObject({
      instanceId,
      externalUserId: match.externalUserId,
    });
  });

  test('that is asked about again is answered in the same words, and binds nothing again', async () => {
    const { store } = servers;
    await claimCode();
    startBinder();
    await send(match);
    await settledTimes(1);
    await store.instances.update(instanceId, { name: 'another name' });
    await store.bindings.removeByInstance(instanceId);
    await send(match);
    await settledTimes(2);
    const texts = arrivedAbout().filter(({ type }) => type === 'text');
    expect(texts.map(({ messageId, body }) => [messageId, body.content])).toEqual(
      Array(2).fill([`${match.msgId}:bound`, render('bound', { name: '小虾' })]),
    );
    expect(await store.bindings.findByInstance(instanceId)).toBeNull();
  });

  test('replaces the earlier bindings of both sides', async () => {
    const { store } = servers;
    const other = { ...match, externalUserId: `${match.externalUserId}-b`, msgId: `${match.msgId}-b` };
    const bind = (binding: { _id: string; instanceId: string }) =>
      store.transaction((session) => store.bindings.replace({ ...binding, externalUserId: 'x', boundAt: 1 }, session));
    await bind({ _id: userKeyOf(match), instanceId: `${instanceId}-old` });
    await bind({ _id: userKeyOf(other), instanceId });
    await claimCode();
    startBinder();
    await send(match);
    await settledTimes(1);
    expect(await store.bindings.findByUser(userKeyOf(other))).toBeNull();
    expect(await store.bindings.findByInstance(`${instanceId}-old`)).toBeNull();
    expect(await store.bindings.findByInstance(instanceId)).toMatchObject({ _id: userKeyOf(match) });
  });

  test('of an instance that is gone binds nothing', async () => {
    const { store } = servers;
    await claimCode();
    await store.transaction((session) => store.instances.remove(instanceId, session));
    startBinder();
    await send(match);
    await settledTimes(1);
    expect(arrivedAbout()).toMatchObject([settledAbout(true), textAbout('instanceMissing', render('instanceMissing'))]);
    expect(await store.bindings.findByUser(userKeyOf(match))).toBeNull();
  });

  test('that nobody remembers makes the item an ordinary message', async () => {
    startBinder();
    await send(match);
    await settledTimes(1);
    expect(arrivedAbout()).toMatchObject([settledAbout(false)]);
  });

  test('settled by a replica that came first is answered from what that one stored', async () => {
    const { store } = servers;
    await claimCode();
    const bindUser: BindUser = async (user, code) => {
      await store.bindingCodes.settle(code._id, 'instanceMissing', null);
      return createBindUser(store)(user, code);
    };
    startBinder({ bindUser });
    await send(match);
    await settledTimes(1);
    expect(arrivedAbout()).toMatchObject([settledAbout(true), textAbout('instanceMissing', render('instanceMissing'))]);
    expect(await store.bindings.findByUser(userKeyOf(match))).toBeNull();
  });
});

test('a code that ran out is told to be so', async () => {
  match = { ...match, match: 'expired' };
  startBinder();
  await send(match);
  await settledTimes(1);
  expect(arrivedAbout()).toMatchObject([settledAbout(true), textAbout('codeExpired', render('codeExpired'))]);
});

describe('what goes wrong', () => {
  test('five failures of ours in a row are told to the user, and what was tried is kept', async () => {
    const { store } = servers;
    await claimCode();
    let attempts = 0;
    startBinder({
      bindUser: async () => {
        attempts++;
        throw new TypeError('a bug');
      },
    });
    await send(match);
    await settledTimes(1);
    expect(attempts).toBe(5);
    expect(arrivedAbout()).toMatchObject([settledAbout(true), textAbout('bindFailed', render('bindFailed'))]);
    expect(await store.bindingCodes.findClaimed(userKeyOf(match), match.msgId)).toMatchObject({
      outcome: 'bindFailed',
    });
    const kept = await store.deadLetters.list('binder', 100);
    expect(kept.find(({ origin }) => origin.userKey === userKeyOf(match))).toMatchObject({
      reason: 'a bug',
      code: 'unexpected',
    });
  });

  test('a replay binds where binding had failed, and says so', async () => {
    const { store } = servers;
    await claimCode();
    await store.bindingCodes.settle(codeOf(), 'bindFailed', null);
    startBinder();
    const again = { ...match, msgId: `${match.msgId}~1` };
    await send(again);
    await settledTimes(1, again.msgId);
    expect(arrivedAbout(again.msgId)).toMatchObject([
      settledAbout(true, again.msgId),
      textAbout('bound', render('bound', { name: '小虾' }), again.msgId),
    ]);
    expect(await store.bindings.findByUser(userKeyOf(match))).toMatchObject({ instanceId });
    await send(again);
    await settledTimes(2, again.msgId);
    expect(await store.bindingCodes.findClaimed(userKeyOf(match), match.msgId)).toMatchObject({ outcome: 'bound' });
  });

  test('a match on which processes died again and again is given up without another try', async () => {
    const { store, broker } = servers;
    await claimCode();
    await send(match);
    const deadly = `m-${sent}`;
    // As often delivered as if processes had died over it, and four times alone.
    for (let delivered = 0; delivered < 3; delivered++) {
      let came = false;
      const dying = broker.consume({
        queue: BINDER_QUEUE,
        prefetch: 1,
        consumerTag: `dying-${deadly}-${delivered}`,
        onDelivery: () => {
          came = true;
        },
      });
      await eventually('it has come', () => came);
      await dying.close();
      await store.poisonCounts.raise('binder', `alone:${deadly}`);
    }
    await store.poisonCounts.raise('binder', `alone:${deadly}`);
    startBinder({ bindUser: () => Promise.reject(new Error('it must not be tried')) });
    await settledTimes(1);
    expect(arrivedAbout()).toMatchObject([settledAbout(true), textAbout('bindFailed', render('bindFailed'))]);
    expect(await store.deadLetters.find(`binder:${deadly}`)).toMatchObject({ code: 'event-deadly', attempts: 5 });
  });

  test('an absent database is waited for, however often it is away', async () => {
    const { store } = servers;
    await claimCode();
    let attempts = 0;
    startBinder({
      bindUser: async (user, code) => {
        if (++attempts <= 7) throw new RetryableError('store-away', 'MongoDB did not answer');
        return createBindUser(store)(user, code);
      },
    });
    await send(match);
    await settledTimes(1);
    expect(attempts).toBe(8);
    expect(arrivedAbout()).toMatchObject([settledAbout(true), textAbout('bound', render('bound', { name: '小虾' }))]);
  }, 120_000);

  test('the settlement waits for the text to be confirmed', async () => {
    await claimCode();
    const attempted: string[] = [];
    startBinder({
      publisher: {
        publish: async (exchange, key, message) => {
          attempted.push(message.type);
          if (message.type === 'text' && attempted.length < 4)
            throw new RetryableError('publish-refused', 'a queue is full');
          await servers.broker.publish(exchange, key, message);
        },
      },
    });
    await send(match);
    await settledTimes(1);
    expect(attempted).toEqual(['text', 'text', 'text', 'text', 'item.settled']);
    expect(await servers.store.bindings.findByInstance(instanceId)).toMatchObject({ _id: userKeyOf(match) });
  });

  test('what cannot be read is kept, and the next one is handled', async () => {
    startBinder();
    await send({ msgId: 7 });
    await send(match, 'something.else');
    await send({ ...match, match: 'expired' });
    await settledTimes(1);
    const kept = await servers.store.deadLetters.list('binder', 100);
    expect(kept.map(({ code }) => code)).toEqual(expect.arrayContaining(['message-invalid', 'message-unknown']));
  });

  test('a binder that stops finishes what it has begun', async () => {
    await claimCode();
    let begin = () => {};
    const begun = new Promise<void>((resolve) => {
      begin = resolve;
    });
    startBinder({
      bindUser: async (user, code) => {
        begin();
        await new Promise((resolve) => setTimeout(resolve, 300));
        return createBindUser(servers.store)(user, code);
      },
    });
    await send(match);
    await begun;
    await consumer.stop();
    expect(await servers.store.bindings.findByInstance(instanceId)).not.toBeNull();
    await settledTimes(1);
    expect(consumer.problem()).not.toBeNull();
  });
});
