import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { createFaults } from './faults.ts';
import { startWecomSimulator, type WecomSimulator } from './start-wecom-simulator.ts';
import { createWecomApi, type WecomApi } from './wecom-api.ts';

describe('fault rules', () => {
  const subject = { api: 'send_msg', user: 'wm-a', openKfId: 'wk-demo' };

  it('hit a counted number of matching calls after those that go free', () => {
    const faults = createFaults();
    faults.add({ api: 'send_msg', user: 'wm-a', skip: 1, count: 2, action: { kind: 'drop' } });
    expect(faults.pick({ ...subject, user: 'wm-b' }).action).toBeUndefined();
    const kinds = [1, 2, 3, 4].map(() => faults.pick(subject).action?.kind);
    expect(kinds).toEqual([undefined, 'drop', 'drop', undefined]);
  });

  it('fall the same way for the same seed', () => {
    const run = () => {
      const faults = createFaults();
      faults.add({ api: '*', probability: 0.3, seed: 7, action: { kind: 'drop' } });
      return Array.from({ length: 200 }, () => faults.pick(subject).action?.kind === 'drop');
    };
    expect(run()).toEqual(run());
    expect(run().filter(Boolean).length).toBeGreaterThan(30);
    expect(run().filter(Boolean).length).toBeLessThan(90);
  });

  it('add up delays and let one other fault act', () => {
    const faults = createFaults();
    faults.add({ api: '*', action: { kind: 'delay', delayMs: 1 } });
    faults.add({ api: '*', action: { kind: 'errcode', errcode: -1 } });
    faults.add({ api: '*', action: { kind: 'drop' } });
    const picked = faults.pick(subject);
    expect(picked.delays).toHaveLength(1);
    expect(picked.action).toEqual({ kind: 'errcode', errcode: -1 });
  });
});

describe('faults over HTTP', () => {
  let simulator: WecomSimulator;
  let api: WecomApi;
  beforeEach(async () => {
    simulator = await startWecomSimulator();
    api = createWecomApi(simulator);
    simulator.control.sendMessage({ externalUserId: 'wm-a', content: 'hi' });
    await api.token();
  });
  afterEach(() => simulator.close());

  it('drop a call before anything is done with it', async () => {
    simulator.control.addFault({ api: 'send_msg', count: 1, action: { kind: 'drop' } });
    await expect(api.sendText('wm-a', 'x', 'm1')).rejects.toThrow();
    expect(simulator.control.sent()).toEqual([]);
    expect((await api.sendText('wm-a', 'x', 'm1')).errcode).toBe(0);
  });

  it('accept a send and then drop the connection, so that its msgid is taken', async () => {
    simulator.control.addFault({ api: 'send_msg', count: 1, action: { kind: 'acceptThenDrop' } });
    await expect(api.sendText('wm-a', 'x', 'm1')).rejects.toThrow();
    expect(simulator.control.sent()).toHaveLength(1);
    expect((await api.sendText('wm-a', 'x', 'm1')).errcode).toBe(95033);
    expect(simulator.control.calls().send_msg?.byCode).toEqual({ '0-dropped': 1, '95033': 1 });
  });

  it('cut, spoil and blow up answers', async () => {
    simulator.control.addFault({ api: 'send_msg', count: 1, action: { kind: 'cut' } });
    await expect(api.sendText('wm-a', 'x', 'm1')).rejects.toThrow();
    simulator.control.addFault({ api: 'send_msg', count: 1, action: { kind: 'notJson' } });
    await expect(api.sendText('wm-a', 'x', 'm2')).rejects.toThrow('not valid JSON');
    simulator.control.addFault({ api: 'send_msg', count: 1, action: { kind: 'huge', bytes: 1_000_000 } });
    expect((await api.sendText('wm-a', 'x', 'm3')).errmsg).toHaveLength(1_000_000);
    expect(simulator.control.sent().map((sent) => sent.msgid)).toEqual(['m1']);
  });

  it('answer with a status or an errcode, for one user when so told', async () => {
    simulator.control.sendMessage({ externalUserId: 'wm-b', content: 'hi' });
    simulator.control.addFault({ api: 'send_msg', user: 'wm-b', action: { kind: 'errcode', errcode: 45009 } });
    expect((await api.sendText('wm-b', 'x')).errcode).toBe(45009);
    expect((await api.sendText('wm-a', 'x')).errcode).toBe(0);
    expect(simulator.control.refused()).toMatchObject([{ errcode: 45009, byFault: true, content: 'x' }]);
    simulator.control.addFault({ api: 'gettoken', action: { kind: 'status', status: 502 } });
    const response = await fetch(`${simulator.url}/cgi-bin/gettoken?corpid=ww-demo&corpsecret=demo-secret`);
    expect(response.status).toBe(502);
  });

  it('make sends to one customer overlap only when the caller does not wait for its answers', async () => {
    simulator.control.sendMessage({ externalUserId: 'wm-b', content: 'hi' });
    simulator.control.addFault({ api: 'send_msg', action: { kind: 'delay', delayMs: 30 } });
    await api.sendText('wm-a', '1', 'm1');
    await Promise.all([api.sendText('wm-a', '2', 'm2'), api.sendText('wm-b', '2', 'm3')]);
    expect(simulator.control.sendOverlaps()).toEqual([]);
    await Promise.all([api.sendText('wm-a', '3', 'm4'), api.sendText('wm-a', '4', 'm5')]);
    expect(simulator.control.sendOverlaps()).toMatchObject([{ externalUserId: 'wm-a' }]);
  });

  it('hang and delay', async () => {
    simulator.control.addFault({ api: 'sync_msg', count: 1, action: { kind: 'hang' } });
    const token = await api.token();
    const url = `${simulator.url}/cgi-bin/kf/sync_msg?access_token=${token}`;
    const init = { method: 'POST', body: '{"open_kfid":"wk-demo"}', signal: AbortSignal.timeout(80) };
    await expect(fetch(url, init)).rejects.toThrow();
    simulator.control.addFault({ api: 'sync_msg', action: { kind: 'delay', delayMs: 60 } });
    const began = performance.now();
    await api.sync();
    expect(performance.now() - began).toBeGreaterThanOrEqual(55);
  });
});
