// Ingest as a whole: the WeCom simulator on one side, a real RabbitMQ and MongoDB on the other.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { BINDER_QUEUE } from '@pipeline/contracts';
import { readConfig, type Service } from '@pipeline/runtime';
import { startWecomSimulator, type WecomSimulator } from '../../../test/simulators/wecom/start-wecom-simulator.ts';
import { eventually } from '../../../test/support/eventually.ts';
import { type Arrived, type OpenServers, openServers, quiet } from '../../../test/support/open-servers.ts';
import { freePorts } from '../../../test/support/pipeline.ts';
import { ingestSettings } from '../src/config.ts';
import { createIngest } from '../src/service.ts';

let servers: OpenServers;
let ports: number[];
const matched: { messageId: string; body: Record<string, unknown> }[] = [];
beforeAll(async () => {
  servers = await openServers();
  ports = await freePorts(2);
  servers.broker.consume({
    queue: BINDER_QUEUE,
    prefetch: 100,
    consumerTag: 'test-binder',
    onDelivery(delivery) {
      matched.push({ messageId: delivery.messageId, body: JSON.parse(delivery.content.toString()) });
      delivery.ack();
    },
  });
}, 120_000);
afterAll(() => servers?.drop());

let simulator: WecomSimulator;
let running: Service[] = [];
let count = 0;
beforeEach(async () => {
  servers.arrived.length = 0;
  matched.length = 0;
  // An account of its own for each test: cursors and leases are the account's.
  simulator = await startWecomSimulator({ openKfId: `wk-${++count}` });
});
afterEach(async () => {
  for (const service of running) await service.stop();
  running = [];
  await simulator.close();
});

function startIngest(settings: Record<string, string> = {}) {
  const port = ports[running.length] ?? 0;
  const service = createIngest(
    readConfig(ingestSettings, {
      RABBITMQ_URL: servers.amqpUrl,
      MONGODB_URI: servers.mongoUri,
      PARTITIONS: String(servers.partitions),
      INGEST_PORT: String(port),
      IT0_WECOM_API_URL: simulator.url,
      IT0_WECOM_CORP_ID: simulator.corpId,
      IT0_WECOM_KF_SECRET: simulator.secret,
      IT0_WECOM_KF_OPEN_KFID: simulator.openKfId,
      POLL_INTERVAL_ACTIVE_MS: '30',
      POLL_INTERVAL_IDLE_MS: '30',
      POLL_INTERVAL_ERROR_MS: '30',
      ...settings,
    }),
    quiet,
  );
  running.push(service);
  const get = async (path: string) => {
    const response = await fetch(`http://127.0.0.1:${port}${path}`);
    return { status: response.status, text: await response.text() };
  };
  return { service, get, started: service.start() };
}

const isFor = (service: 'router' | 'sender') => (arrived: Arrived) => arrived.queue.startsWith(service);
const idsAt = (service: 'router' | 'sender') =>
  servers.arrived.filter(isFor(service)).map(({ messageId }) => messageId);
const write = (externalUserId: string, content: string, more: { sendTime?: number } = {}) =>
  simulator.control.sendMessage({ externalUserId, content, ...more }).msgid ?? '';
const nowS = () => Math.floor(Date.now() / 1000);

describe('customer messages', () => {
  test('reach sender and router, each user’s in the order in which WeCom has them', async () => {
    const ids = ['a', 'b', 'c'].flatMap((user) => Array.from({ length: 30 }, (_, n) => write(user, `${user}${n}`)));
    await startIngest().started;
    await eventually('all at the router', () => idsAt('router').length === 90);
    for (const service of ['router', 'sender'] as const)
      for (const user of ['a', 'b', 'c']) {
        const texts = servers.arrived.filter(isFor(service)).map(({ body }) => String(body.text));
        expect(texts.filter((text) => text.startsWith(user))).toEqual(
          Array.from({ length: 30 }, (_, n) => `${user}${n}`),
        );
      }
    expect(new Set(idsAt('sender'))).toEqual(new Set(ids));
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
    expect(idsAt('sender')).toHaveLength(2);
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
    await eventually('both at the sender', () => idsAt('sender').length === 2);
    const [winner, loser] = matched[0]?.body.msgId === first ? [first, second] : [second, first];
    expect(itemsOf(winner)).toEqual(Array(2).fill(['binder', 'claimed']));
    expect(itemsOf(loser)).toEqual(Array(2).fill([null, null]));
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
    expect(itemsOf(id)).toEqual(Array(2).fill([null, null]));
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
    expect(idsAt('sender')).toHaveLength(1);
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

describe('when WeCom refuses', () => {
  test('a wrong secret ends the asking, and readiness says what to mend', async () => {
    const { started, get } = startIngest({ IT0_WECOM_KF_SECRET: 'wrong' });
    await started;
    await eventually('readiness', async () => (await get('/readyz')).text.includes('40001'));
    const asked = simulator.control.calls().gettoken;
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(simulator.control.calls().gettoken).toEqual(asked);
    expect((await get('/readyz')).status).toBe(503);
    expect((await get('/healthz')).status).toBe(200);
  });

  test('readiness says why until the first poll is answered; its being away later has nothing to mend', async () => {
    const away = { api: 'sync_msg', action: { kind: 'status', status: 502 } } as const;
    const { id } = simulator.control.addFault(away);
    const { started, get } = startIngest();
    await started;
    await eventually('readiness', async () =>
      (await get('/readyz')).text.includes('no poll is answered yet: kf/sync_msg'),
    );
    expect((await get('/readyz')).status).toBe(503);
    simulator.control.removeFaults(id);
    await eventually('readiness', async () => (await get('/readyz')).status === 200);
    simulator.control.addFault(away);
    await eventually('a failed poll', async () =>
      (await get('/readyz')).text.includes('waiting after wecom-http-status'),
    );
    expect((await get('/readyz')).status).toBe(200);
  });

  test('another fault of configuration is asked about again, until it is mended', async () => {
    const fault = simulator.control.addFault({ api: 'sync_msg', action: { kind: 'errcode', errcode: 60020 } });
    const { started, get } = startIngest();
    await started;
    await eventually('readiness', async () => (await get('/readyz')).text.includes('60020'));
    simulator.control.removeFaults(fault.id);
    const id = write('a', 'hello');
    await eventually('the message', () => idsAt('router').includes(id));
    await eventually('readiness', async () => (await get('/readyz')).status === 200);
  });

  test.each([
    { kind: 'errcode', errcode: -1 } as const,
    { kind: 'drop' } as const,
    { kind: 'cut' } as const,
    { kind: 'status', status: 502 } as const,
  ])('$kind: it is asked again, and nothing is lost', async (action) => {
    simulator.control.addFault({ api: 'sync_msg', count: 2, action });
    const id = write('a', 'hello');
    await startIngest().started;
    await eventually('the message', () => idsAt('router').includes(id));
  });
});

test('of two replicas one polls; when it stops the other goes on', async () => {
  const first = startIngest();
  await first.started;
  write('a', 'one');
  await eventually('the first message', () => idsAt('router').length === 1);
  const second = startIngest();
  await second.started;
  await eventually('a stand-by', async () => (await second.get('/readyz')).text.includes('stand-by'));
  expect((await second.get('/readyz')).status).toBe(200);
  await first.service.stop();
  write('a', 'two');
  await eventually('the second message', () => idsAt('router').length === 2);
  await eventually('the second message at the sender', () => idsAt('sender').length === 2);
  expect(servers.arrived.filter(isFor('router')).map(({ body }) => body.text)).toEqual(['one', 'two']);
});
