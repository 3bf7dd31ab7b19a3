import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { startWecomSimulator, type WecomSimulator } from './start-wecom-simulator.ts';
import { createWecomApi, type WecomApi } from './wecom-api.ts';

let simulator: WecomSimulator;
let api: WecomApi;

beforeEach(async () => {
  simulator = await startWecomSimulator();
  api = createWecomApi(simulator);
});
afterEach(() => simulator.close());

describe('access tokens', () => {
  const call = async (token: string) => {
    const response = await fetch(`${simulator.url}/cgi-bin/kf/sync_msg?access_token=${token}`, {
      method: 'POST',
      body: JSON.stringify({ open_kfid: 'wk-demo' }),
    });
    return ((await response.json()) as { errcode: number }).errcode;
  };

  it('are refused when missing, unknown, revoked or expired', async () => {
    expect(await call('')).toBe(41001);
    expect(await call('nonsense')).toBe(40014);
    const token = await api.token();
    expect(await call(token)).toBe(0);
    simulator.control.setClock(7201_000);
    expect(await call(token)).toBe(42001);
    const next = await api.token();
    expect(next).not.toBe(token);
    simulator.control.revokeTokens();
    expect(await call(next)).toBe(40014);
  });

  it('are handed out for the right corp and secret only, the same one until it ends', async () => {
    const get = async (query: string) => {
      const response = await fetch(`${simulator.url}/cgi-bin/gettoken?${query}`);
      return (await response.json()) as { errcode: number; access_token?: string; expires_in?: number };
    };
    expect((await get('corpid=ww-demo')).errcode).toBe(41004);
    expect((await get('corpid=ww-other&corpsecret=demo-secret')).errcode).toBe(40013);
    expect((await get('corpid=ww-demo&corpsecret=wrong')).errcode).toBe(40001);
    const first = await get('corpid=ww-demo&corpsecret=demo-secret');
    expect(first).toMatchObject({ errcode: 0, expires_in: 7200 });
    expect((await get('corpid=ww-demo&corpsecret=demo-secret')).access_token).toBe(first.access_token);
  });
});

describe('sync_msg', () => {
  it('pages through one account by opaque cursors and never lists what the API sent', async () => {
    simulator.control.addAccount('wk-other');
    for (const content of ['一', '二', '三']) simulator.control.sendMessage({ externalUserId: 'wm-a', content });
    simulator.control.sendMessage({ externalUserId: 'wm-a', content: 'elsewhere', openKfId: 'wk-other' });
    expect((await api.sendText('wm-a', 'answer')).errcode).toBe(0);

    const first = await api.sync({ limit: 2 });
    expect(first).toMatchObject({ errcode: 0, has_more: 1 });
    expect(Buffer.byteLength(first.next_cursor)).toBeLessThanOrEqual(64);
    const second = await api.sync({ limit: 2, cursor: first.next_cursor });
    expect(second).toMatchObject({ errcode: 0, has_more: 0 });
    const texts = [...first.msg_list, ...second.msg_list].map((item) => (item.text as { content: string }).content);
    expect(texts).toEqual(['一', '二', '三']);
    expect(first.msg_list[0]).toMatchObject({ open_kfid: 'wk-demo', external_userid: 'wm-a', origin: 3 });
    expect((await api.sync({ cursor: second.next_cursor })).msg_list).toEqual([]);
  });

  it('refuses GET, a missing or unknown account, a forged cursor and a limit over 1000', async () => {
    const token = await api.token();
    const got = await fetch(`${simulator.url}/cgi-bin/kf/sync_msg?access_token=${token}`);
    expect(await got.json()).toMatchObject({ errcode: 40058 });
    expect((await api.post('kf/sync_msg', {})).errcode).toBe(40058);
    expect((await api.sync({ open_kfid: 'other' })).errcode).toBe(95000);
    expect((await api.sync({ open_kfid: 'wk-gone' })).errcode).toBe(95004);
    expect((await api.sync({ cursor: 'forged' })).errcode).toBe(50100);
    expect((await api.sync({ limit: 1001 })).errcode).toBe(40058);
    expect((await api.sync({ cursor: 'x'.repeat(65) })).errcode).toBe(40058);
  });

  it('knows its token for ten minutes and limits calls without one when told to', async () => {
    const token = simulator.control.issueSyncToken();
    expect((await api.sync({ token })).errcode).toBe(0);
    simulator.control.advanceClock(600_001);
    expect(await api.sync({ token })).toMatchObject({ errcode: 95007, msg_list: [] });
    simulator.control.changeSettings({ tokenlessPerMinute: 2 });
    expect((await api.sync()).errcode).toBe(0);
    expect((await api.sync()).errcode).toBe(0);
    expect((await api.sync()).errcode).toBe(45009);
    expect((await api.sync({ token: simulator.control.issueSyncToken() })).errcode).toBe(0);
    simulator.control.advanceClock(60_000);
    expect((await api.sync()).errcode).toBe(0);
  });

  it('forgets items after three days', async () => {
    const nowS = Math.floor(Date.now() / 1000);
    simulator.control.sendMessage({ externalUserId: 'wm-a', content: 'old', sendTime: nowS - 73 * 3600 });
    simulator.control.sendMessage({ externalUserId: 'wm-a', content: 'new', sendTime: nowS - 71 * 3600 });
    expect((await api.sync()).msg_list).toHaveLength(1);
    simulator.control.advanceClock(3602_000);
    expect((await api.sync()).msg_list).toHaveLength(0);
  });

  it('gives empty, short and repeated pages on command, and notes when an item was first returned', async () => {
    for (let n = 0; n < 5; n += 1) simulator.control.sendMessage({ externalUserId: 'wm-a', content: `${n}` });
    simulator.control.addFault({ api: 'sync_msg', count: 1, action: { kind: 'emptyPage' } });
    const empty = await api.sync();
    expect(empty).toMatchObject({ has_more: 1, msg_list: [] });
    expect(simulator.control.messages()[0]?.firstReturnedAt).toBeNull();

    simulator.control.addFault({ api: 'sync_msg', count: 1, action: { kind: 'shortPage', maxItems: 3 } });
    const short = await api.sync({ cursor: empty.next_cursor });
    expect(short.msg_list).toHaveLength(3);
    expect(short.has_more).toBe(1);

    simulator.control.addFault({ api: 'sync_msg', count: 1, action: { kind: 'replay', items: 2 } });
    const again = await api.sync({ cursor: short.next_cursor });
    const texts = again.msg_list.map((item) => (item.text as { content: string }).content);
    expect(texts).toEqual(['1', '2', '3', '4']);
    const records = simulator.control.messages();
    expect(records.map((record) => record.returnedTimes)).toEqual([1, 2, 2, 1, 1]);
    for (const record of records) expect(record.firstReturnedAt).toBeGreaterThanOrEqual(record.injectedAt);
  });

  it('carries events without outer ids and any raw item as it is', async () => {
    simulator.control.enterSession({ externalUserId: 'wm-a', scene: 'qr' });
    simulator.control.sendMessage({ raw: { msgid: 'x1', origin: 3, msgtype: 'schedule', external_userid: 'wm-b' } });
    const { msg_list: items } = await api.sync();
    expect(items[0]).toMatchObject({ origin: 4, msgtype: 'event', event: { external_userid: 'wm-a', scene: 'qr' } });
    expect(items[0]).not.toHaveProperty('external_userid');
    expect(items[1]).toEqual({ msgid: 'x1', origin: 3, msgtype: 'schedule', external_userid: 'wm-b' });
  });
});

describe('send_msg', () => {
  beforeEach(() => {
    simulator.control.sendMessage({ externalUserId: 'wm-a', content: 'hi' });
  });

  it('lets five messages follow each message of the customer', async () => {
    for (let n = 0; n < 5; n += 1) expect((await api.sendText('wm-a', `${n}`, `id-${n}`)).errcode).toBe(0);
    const sixth = await api.sendText('wm-a', '5', 'id-5');
    expect(sixth.errcode).toBe(95001);
    expect(sixth.errmsg).toMatch(/^send msg count limit, hint: \[\d+\], from ip: /);
    simulator.control.sendMessage({ externalUserId: 'wm-a', content: 'more' });
    expect(await api.sendText('wm-a', '5', 'id-5')).toMatchObject({ errcode: 0, msgid: 'id-5' });
    expect(simulator.control.sent({ user: 'wm-a' }).map((sent) => sent.remaining)).toEqual([4, 3, 2, 1, 0, 4]);
    expect(simulator.control.refused()).toMatchObject([{ errcode: 95001, msgid: 'id-5', byFault: false }]);
  });

  it('accepts a msgid once per account and burns it on a refusal only when told to', async () => {
    expect((await api.sendText('wm-a', '1', 'same')).errcode).toBe(0);
    expect((await api.sendText('wm-a', '1', 'same')).errcode).toBe(95033);
    simulator.control.moveSession({ externalUserId: 'wm-a', state: 3 });
    expect((await api.sendText('wm-a', '2', 'other')).errcode).toBe(95018);
    simulator.control.changeSettings({ burnMsgidOnRefusal: true });
    expect((await api.sendText('wm-a', '2', 'other')).errcode).toBe(95018);
    simulator.control.moveSession({ externalUserId: 'wm-a', state: 0 });
    expect((await api.sendText('wm-a', '2', 'other')).errcode).toBe(95033);
  });

  it('refuses bad shapes, unknown users and sends after 48 hours', async () => {
    expect((await api.sendText('wm-a', '')).errcode).toBe(44004);
    expect((await api.sendText('wm-a', 'x', 'bad id!')).errcode).toBe(40058);
    expect((await api.sendText('wm-a', 'x', 'y'.repeat(33))).errcode).toBe(40058);
    expect((await api.sendText('wm-nobody', 'x')).errcode).toBe(40096);
    expect((await api.post('kf/send_msg', { touser: 'wm-a', open_kfid: 'wk-demo', msgtype: 'markdown' })).errcode).toBe(
      40058,
    );
    simulator.control.changeSettings({ tokenExpiresInS: 1_000_000 });
    simulator.control.revokeTokens();
    await api.token();
    simulator.control.setClock(48 * 3_600_000 + 1000);
    expect((await api.sendText('wm-a', 'x')).errcode).toBe(95002);
    simulator.control.changeSettings({ windowCode: 95018 });
    expect((await api.sendText('wm-a', 'x')).errcode).toBe(95018);
  });

  it('cuts a text at 2048 bytes silently, inside no character, and keeps both versions', async () => {
    const long = `a${'龙'.repeat(700)}`;
    expect((await api.sendText('wm-a', long)).errcode).toBe(0);
    const [sent] = simulator.control.sent();
    expect(sent).toMatchObject({ truncated: true, original: long, originalBytes: 2101 });
    expect(sent?.content).toBe(`a${'龙'.repeat(682)}`);
  });

  it('answers malformed JSON with errcode 0 and sends nothing', async () => {
    const answer = await api.post('kf/send_msg', '{"touser": "wm-a", ');
    expect(answer.errcode).toBe(0);
    expect(answer.errmsg).toMatch(/^ok\. Warning: wrong json format\./);
    expect(simulator.control.sent()).toEqual([]);
  });

  it('raises msg_send_fail on command and by itself after accepting', async () => {
    await api.sendText('wm-a', 'x', 'm1');
    simulator.control.failSend({ msgid: 'm1', failType: 5 });
    simulator.control.addFault({ api: 'send_msg', action: { kind: 'acceptThenFail', failType: 6, afterMs: 5 } });
    await api.sendText('wm-a', 'y', 'm2');
    let events: unknown[] = [];
    for (let tries = 0; tries < 100 && events.length < 2; tries += 1) {
      await new Promise((resolve) => setTimeout(resolve, 5));
      const { msg_list: items } = await api.sync();
      events = items.filter((item) => item.msgtype === 'event').map((item) => item.event);
    }
    expect(events).toMatchObject([
      { event_type: 'msg_send_fail', fail_msgid: 'm1', fail_type: 5, external_userid: 'wm-a', open_kfid: 'wk-demo' },
      { fail_msgid: 'm2', fail_type: 6 },
    ]);
  });
});

describe('other endpoints', () => {
  it('moves sessions by API and by humans and honours each reply code once', async () => {
    simulator.control.sendMessage({ externalUserId: 'wm-a', content: 'hi' });
    const ids = { open_kfid: 'wk-demo', external_userid: 'wm-a' };
    expect(await api.post('kf/service_state/get', ids)).toMatchObject({ service_state: 0 });
    await api.sendText('wm-a', 'x');
    expect(await api.post('kf/service_state/get', ids)).toMatchObject({ service_state: 1 });
    const queued = await api.post('kf/service_state/trans', { ...ids, service_state: 2 });
    expect(queued).toMatchObject({ errcode: 0, msg_code: expect.any(String) });
    const reply = { code: queued.msg_code, msgtype: 'text', text: { content: 'wait' } };
    expect((await api.post('kf/send_msg_on_event', reply)).errcode).toBe(0);
    expect((await api.post('kf/send_msg_on_event', reply)).errcode).toBe(41050);
    expect((await api.post('kf/service_state/trans', { ...ids, service_state: 1 })).errcode).toBe(95016);
    expect((await api.sync()).msg_list).toHaveLength(1);
    simulator.control.moveSession({ externalUserId: 'wm-a', state: 3 });
    const { msg_list: items } = await api.sync();
    expect(items[1]).toMatchObject({ event: { event_type: 'session_status_change', change_type: 1 } });
  });

  it('gives a welcome code that lives 20 seconds', async () => {
    const { welcomeCode } = simulator.control.enterSession({ externalUserId: 'wm-new' });
    simulator.control.advanceClock(20_001);
    const welcome = { code: welcomeCode, msgtype: 'text', text: { content: 'welcome' } };
    expect((await api.post('kf/send_msg_on_event', welcome)).errcode).toBe(41050);
  });

  it('lists accounts, customers, contact links and media', async () => {
    simulator.control.sendMessage({ externalUserId: 'wm-a', content: 'hi' });
    const accounts = await api.post('kf/account/list', { offset: 0, limit: 100 });
    expect(accounts.account_list).toMatchObject([{ open_kfid: 'wk-demo' }]);
    const customers = await api.post('kf/customer/batchget', { external_userid_list: ['wm-a', 'wm-z'] });
    expect(customers).toMatchObject({
      customer_list: [{ external_userid: 'wm-a' }],
      invalid_external_userid: ['wm-z'],
    });
    const link = await api.post('kf/add_contact_way', { open_kfid: 'wk-demo', scene: 'app' });
    expect(link.url).toMatch(/enc_scene=/);

    const token = await api.token();
    const form = new FormData();
    form.set('media', new Blob([Buffer.from('hello file')], { type: 'text/plain' }), 'a.txt');
    const uploadUrl = `${simulator.url}/cgi-bin/media/upload?access_token=${token}&type=file`;
    const uploaded = (await (await fetch(uploadUrl, { method: 'POST', body: form })).json()) as Record<string, string>;
    expect(uploaded).toMatchObject({ errcode: 0, type: 'file', created_at: expect.any(String) });
    const fileUrl = `${simulator.url}/cgi-bin/media/get?access_token=${token}&media_id=`;
    expect(await (await fetch(fileUrl + uploaded.media_id)).text()).toBe('hello file');
    expect(await (await fetch(`${fileUrl}nothing`)).json()).toMatchObject({ errcode: 40007 });
  });
});
