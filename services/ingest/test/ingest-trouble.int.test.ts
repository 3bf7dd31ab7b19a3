// Ingest when WeCom refuses or is away, and when its replica stops: what it says, and that nothing is lost.
import { describe, expect, test } from '@jest/globals';
import { eventually } from '../../../test/support/eventually.ts';
import { idsAt, isFor, servers, simulator, startIngest, write } from './ingest-rig.ts';

describe('when WeCom refuses', () => {
  test('a wrong secret ends the asking, and readiness says what to mend', async () => {
    const { started, get } = startIngest({ IT0_WECOM_KF_SECRET: 'wrong' });
    await started;
    await eventually('readiness', async () => (await get('/readyz')).text.includes('40001'));
    const asked = simulator.control.calls().gettoken?.total ?? 0;
    // Another replica has the right one: while it polls ten times, the first one could have asked as often.
    const other = startIngest();
    await other.started;
    await eventually('the other polls', () => (simulator.control.calls().sync_msg?.total ?? 0) >= 10);
    expect(simulator.control.calls().gettoken?.total).toBe(asked + 1);
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
  expect(servers.arrived.filter(isFor('router')).map(({ body }) => body.text)).toEqual(['one', 'two']);
});
