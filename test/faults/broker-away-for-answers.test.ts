// Bridges call back while the broker is away: for 5 s they are kept waiting, for 60 s they are told to try again.
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { sleep } from '@pipeline/runtime';
import { createDialogue, type Dialogue } from '../support/dialogue.ts';
import { eventually } from '../support/eventually.ts';
import { type Pipeline, startPipeline } from '../support/pipeline.ts';
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.ts';

let pipeline: Pipeline;
let users: Dialogue;
let proxy: TcpProxy;
beforeAll(async () => {
  pipeline = await startPipeline({ partitions: 4 });
  users = createDialogue(pipeline);
  proxy = await startTcpProxy(pipeline.servers.amqpUrl);
  const { router } = pipeline.services;
  await router.stop();
  await router.start({ RABBITMQ_URL: proxy.through(pipeline.servers.amqpUrl) });
  await router.ready();
}, 120_000);
afterAll(async () => {
  await proxy?.accept();
  await pipeline?.stop();
  await proxy?.close();
}, 60_000);

test.each([5_000, 60_000])(
  'a broker that is away for %d ms loses no answer',
  async (awayMs) => {
    const user = `wm-away-${awayMs}`;
    await users.bind(user);
    const msgId = await users.keepBusy(user);
    const { callbackUrl, externalUserId } = await users.taskOf(msgId);
    const post = () =>
      fetch(callbackUrl, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ ok: true, content: `${user} 的回答`, callbackData: { externalUserId, msgId } }),
      });
    await proxy.refuse();
    proxy.cut();
    const awayAt = performance.now();
    const statuses: number[] = [];
    const calling = (async () => {
      for (;;) {
        const response = await post();
        statuses.push(response.status);
        if (response.status === 200) return;
        expect(response.headers.get('retry-after')).toMatch(/^\d+$/);
        await sleep(200);
      }
    })();
    await sleep(awayMs - (performance.now() - awayAt));
    await proxy.accept();
    await calling;
    if (awayMs < 10_000) expect(statuses).toEqual([200]);
    else expect(statuses).toContain(503);
    await eventually('the answer is heard', () => pipeline.heard(user).at(-1) === `${user} 的回答`, {
      withinMs: 20_000,
    });
    expect(pipeline.heard(user).filter((text) => text.endsWith('的回答'))).toHaveLength(1);
  },
  120_000,
);
