// binder.matches on a real RabbitMQ and MongoDB: what is bound, what is said, and that both are done once.
import { describe, expect, test } from '@jest/globals';
import { userKeyOf } from '@pipeline/contracts';
import { render } from '@pipeline/texts';
import { type BindUser, createBindUser } from '../src/bind-user.ts';
import {
  arrivedAbout,
  claimCode,
  instanceId,
  match,
  send,
  servers,
  settledAbout,
  settledTimes,
  startBinder,
  textAbout,
} from './binding-rig.ts';

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
  startBinder();
  await send({ ...match, match: 'expired' });
  await settledTimes(1);
  expect(arrivedAbout()).toMatchObject([settledAbout(true), textAbout('codeExpired', render('codeExpired'))]);
});
