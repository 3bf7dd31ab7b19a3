// binder.matches when something goes wrong: tried again, told to the user, kept; never lost.
import { describe, expect, test } from '@jest/globals';
import { BINDER_QUEUE, userKeyOf } from '@pipeline/contracts';
import { RetryableError } from '@pipeline/runtime';
import { render } from '@pipeline/texts';
import { eventually } from '../../../test/support/eventually.ts';
import { createBindUser } from '../src/bind-user.ts';
import {
  arrivedAbout,
  claimCode,
  codeOf,
  consumer,
  instanceId,
  match,
  send,
  sent,
  servers,
  settledAbout,
  settledTimes,
  startBinder,
  textAbout,
} from './binding-rig.ts';

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
    const begun = Promise.withResolvers<void>();
    const mayEnd = Promise.withResolvers<void>();
    startBinder({
      bindUser: async (user, code) => {
        begun.resolve();
        await mayEnd.promise;
        return createBindUser(servers.store)(user, code);
      },
    });
    await send(match);
    await begun.promise;
    let isStopped = false;
    const stopping = consumer.stop().then(() => {
      isStopped = true;
    });
    await send(match); // takes the broker longer than closing a channel, and is nobody's to begin
    expect(isStopped).toBe(false);
    mayEnd.resolve();
    await stopping;
    expect(await servers.store.bindings.findByInstance(instanceId)).not.toBeNull();
    await settledTimes(1);
    expect(consumer.problem()).not.toBeNull();
  });
});
