// Ingest as a whole: the WeCom simulator on one side, a real RabbitMQ and MongoDB on the other.
import { describe, expect, test } from '@jest/globals';
import { eventually } from '../../../test/support/eventually.ts';
import { idsAt, isFor, matched, nowS, servers, simulator, startIngest, write } from './ingest-rig.ts';

describe('customer messages', () => {
  test('reach the router, each user’s in the order in which WeCom has them', async () => {
    for (const user of ['a', 'b', 'c']) for (let n = 0; n < 30; n++) write(user, `${user}${n}`);
    await startIngest().started;
    await eventually('all at the router', () => idsAt('router').length === 90);
    for (const user of ['a', 'b', 'c']) {
      const texts = servers.arrived.filter(isFor('router')).map(({ body }) => String(body.text));
      expect(texts.filter((text) => text.startsWith(user))).toEqual(
        Array.from({ length: 30 }, (_, n) => `${user}${n}`),
      );
    }
    expect(servers.arrived[0]).toMatchObject({
      type: 'customer.item',
      messageId: servers.arrived[0]?.correlationId,
      body: { msgtype: 'text', decidedBy: null, match: null, sendTime: expect.any(Number) },
    });
  });

  test('of any kind are passed on; a lone continuation word is the sender’s to decide', async () => {
    simulator.control.sendMessage({ externalUserId: 'a', msgtype: 'image' });
    write('a', ' Continue ');
    write('a', '继续说');
    await startIngest().started;
    await eventually('all at the router', () => idsAt('router').length === 3);
    expect(
      servers.arrived.filter(isFor('router')).map(({ body }) => [body.msgtype, body.text, body.decidedBy]),
    ).toEqual([
      ['image', null, null],
      ['text', ' Continue ', 'sender'],
      ['text', '继续说', null],
    ]);
  });

  test('reach the sender too if the router says nothing about them, or not at once', async () => {
    write('a', 'hello');
    const silent = [write('a', ' \n'), write('a', '继续')];
    await startIngest().started;
    await eventually('all at the router', () => idsAt('router').length === 3);
    await eventually('two at the sender', () => idsAt('sender').length === 2);
    expect(idsAt('sender')).toEqual(silent);
  });

  test('over many pages, empty ones among them, are read at once', async () => {
    simulator.control.changeSettings({ maxPageItems: 2 });
    simulator.control.addFault({ api: 'sync_msg', skip: 1, count: 3, action: { kind: 'emptyPage' } });
    const ids = Array.from({ length: 9 }, (_, n) => write('a', String(n)));
    await startIngest({ POLL_INTERVAL_ACTIVE_MS: '60000', POLL_INTERVAL_IDLE_MS: '60000' }).started;
    await eventually('all at the router', () => idsAt('router').length === 9);
    expect(idsAt('router')).toEqual(ids);
  });

  test('sent long before the first start are only recorded; later ones are never too old', async () => {
    const old = { sendTime: nowS() - 3_600 };
    write('a', 'too old', old);
    write('a', 'not too old', { sendTime: nowS() - 60 });
    const { service, started } = startIngest();
    await started;
    await eventually('the newer one at the router', () => idsAt('router').length === 1);
    await service.stop();
    write('a', 'still too old', old);
    await startIngest({ INGEST_MAX_AGE_MS: '0' }).started;
    write('a', 'new');
    await eventually('the new one at the router', () => idsAt('router').length === 2);
    expect(servers.arrived.filter(isFor('router')).map(({ body }) => body.text)).toEqual(['not too old', 'new']);
  });

  test('are read from where the last process stopped', async () => {
    write('a', 'one');
    const { service, started } = startIngest();
    await started;
    await eventually('the first at the router', () => idsAt('router').length === 1);
    await eventually(
      'a cursor',
      async () => (await servers.store.syncCursors.open(simulator.openKfId, 0)).cursor !== undefined,
    );
    await service.stop();
    write('a', 'two');
    await startIngest().started;
    await eventually('the second at the router', () => idsAt('router').length === 2);
    expect(servers.arrived.filter(isFor('router')).map(({ body }) => body.text)).toEqual(['one', 'two']);
  });
});

describe('binding codes', () => {
  const makeCode = async (code: string, ttlMs = 60_000) => {
    const { store } = servers;
    await store.transaction((session) =>
      store.bindingCodes.create(code, `instance-${code}`, store.now(), ttlMs, session),
    );
  };
  const itemsOf = (msgId: string) =>
    servers.arrived.filter(({ messageId }) => messageId === msgId).map(({ body }) => [body.decidedBy, body.match]);

  test('a live code is claimed by the first item that names it, whatever its case', async () => {
    await makeCode('ABC123');
    const first = write('a', ' abc123 ');
    const second = write('b', 'ABC123');
    await startIngest().started;
    await eventually('the match', () => matched.length === 1 && idsAt('router').length === 2);
    await eventually('the code at the sender', () => idsAt('sender').length === 1);
    const [winner, loser] = matched[0]?.body.msgId === first ? [first, second] : [second, first];
    expect(itemsOf(winner)).toEqual(Array(2).fill(['binder', 'claimed']));
    expect(itemsOf(loser)).toEqual([[null, null]]);
    const { openKfId } = simulator;
    expect(matched).toEqual([
      {
        messageId: `${winner}:matched`,
        body: { openKfId, externalUserId: winner === first ? 'a' : 'b', msgId: winner, match: 'claimed' },
      },
    ]);
  });

  test('a code that ran out is matched as expired', async () => {
    await makeCode('ABC124', -1_000);
    const id = write('a', 'ABC124');
    await startIngest().started;
    await eventually('the match', () => matched.length === 1);
    expect(matched[0]?.body).toMatchObject({ msgId: id, match: 'expired' });
    expect(itemsOf(id)).toContainEqual(['binder', 'expired']);
  });

  test('six hex digits that are no code are an ordinary message', async () => {
    const id = write('a', '123456');
    await startIngest().started;
    await eventually('the item', () => idsAt('router').length === 1);
    expect(itemsOf(id)).toEqual([[null, null]]);
    expect(matched).toEqual([]);
  });

  test('after more than ten wrong guesses within ten minutes codes are not looked up', async () => {
    await makeCode('FEED01');
    for (let n = 0; n < 11; n++) write('a', `00000${n.toString(16)}`);
    const refused = write('a', 'FEED01');
    await startIngest().started;
    await eventually('all at the router', () => idsAt('router').length === 12);
    expect(itemsOf(refused)).toContainEqual([null, null]);
    const other = write('b', 'FEED01');
    await eventually('the match', () => matched.length === 1);
    expect(matched[0]?.body).toMatchObject({ msgId: other, match: 'claimed' });
  });
});

describe('other items', () => {
  test('are counted by kind and hold nobody up', async () => {
    const raw = (item: Record<string, unknown>) => simulator.control.sendMessage({ raw: item });
    raw({ origin: 3, external_userid: 'a', msgtype: 'text', text: { content: 'no id' } });
    raw({ msgid: 'm1', origin: 3, msgtype: 'text', text: { content: 'no user' } });
    raw({ msgid: 'm2', origin: 5, external_userid: 'a', msgtype: 'text', text: { content: 'a servicer' } });
    raw({ msgid: 'm3', origin: 4, msgtype: 'event', event: { event_type: 'user_recall_msg' } });
    raw({ msgid: 'm4', origin: 4, msgtype: 'event', event: { event_type: 'msg_send_fail', external_userid: 'a' } });
    simulator.control.enterSession({ externalUserId: 'a' });
    write('a', 'hello');
    const { started, get } = startIngest();
    await started;
    await eventually('the message', () => idsAt('router').length === 1);
    await eventually('the counts', async () =>
      (await get('/metrics')).text.includes('kind="event",type="enter_session"'),
    );
    const { text } = await get('/metrics');
    for (const [kind, type] of [
      ['malformed', 'no msgid'],
      ['servicer', 'text'],
      ['event', 'user_recall_msg'],
      ['malformed', 'msg_send_fail without its ids'],
      ['message', 'text'],
    ])
      expect(text).toMatch(new RegExp(`ingest_items_total\\{kind="${kind}",type="${type}",service="ingest"\\} 1`));
    expect(idsAt('sender')).toEqual([]);
  });

  test('a failed delivery is told to the sender', async () => {
    const event = { event_type: 'msg_send_fail', external_userid: 'a', fail_msgid: 'f1', fail_type: 6 };
    simulator.control.sendMessage({ raw: { msgid: 'm5', send_time: nowS(), origin: 4, msgtype: 'event', event } });
    await startIngest().started;
    await eventually('the event', () => idsAt('sender').length === 1);
    expect(servers.arrived[0]).toMatchObject({
      type: 'msg_send_fail',
      messageId: 'm5',
      body: { msgId: 'm5', failMsgid: 'f1', failType: 6 },
    });
  });
});
