// An item on which ingest dies: after a few deaths it is given up alone, and its page goes on.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { eventually } from '../../../test/support/eventually.ts';
import { type OpenServers, openServers } from '../../../test/support/open-servers.ts';
import type { DeadlyPollerOptions } from './deadly-poller.ts';

const PROGRAM = fileURLToPath(new URL('./deadly-poller.ts', import.meta.url));
let servers: OpenServers;
let child: ChildProcess | undefined;
beforeAll(async () => {
  servers = await openServers();
}, 120_000);
afterAll(async () => {
  child?.kill('SIGKILL');
  await servers?.drop();
});

test('an item that kills ingest ends in the dead letters, its neighbours in the mailboxes', async () => {
  const item = (msgid: string, user: string) => {
    const send_time = Math.floor(Date.now() / 1000);
    return { msgid, origin: 3, external_userid: user, send_time, msgtype: 'text', text: { content: msgid } };
  };
  const { amqpUrl, mongoUri } = servers;
  const items = [item('m1', 'a'), item('deadly', 'b'), item('m2', 'b'), item('m3', 'c')];
  const options: DeadlyPollerOptions = { amqpUrl, mongoUri, openKfId: 'wk1', items, deadly: 'deadly' };
  let isOver = false;
  let deaths = 0;
  const supervising = (async () => {
    for (; !isOver; deaths++) {
      child = spawn(process.execPath, [PROGRAM, JSON.stringify(options)], { stdio: ['ignore', 'ignore', 'inherit'] });
      await once(child, 'exit');
    }
  })();
  const cursor = () => servers.store.syncCursors.open('wk1', 0);
  await eventually('the page is done', async () => (await cursor()).cursor === 'end', { withinMs: 100_000 });
  isOver = true;
  child?.kill('SIGKILL');
  await supervising;

  expect(await servers.store.deadLetters.list('ingest', 10)).toMatchObject([
    { code: 'item-deadly', state: 'waiting', origin: { messageId: 'deadly' }, body: JSON.stringify(items[1]) },
  ]);
  const inRouter = servers.arrived.filter(({ queue }) => queue.startsWith('router')).map(({ messageId }) => messageId);
  expect([...new Set(inRouter)].sort()).toEqual(['m1', 'm2', 'm3']);
  // Three before the page was suspected, three on the item itself; then one of ours.
  expect(deaths).toBe(7);
}, 120_000);
