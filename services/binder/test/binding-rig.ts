// A binder's consumer on servers of its own; every test has users, codes and an instance of its own.
import { afterAll, afterEach, beforeAll, beforeEach, expect } from '@jest/globals';
import type { Publisher } from '@pipeline/broker';
import { BINDER_QUEUE, type BindingMatched, exchanges, userKeyOf } from '@pipeline/contracts';
import { createMetrics } from '@pipeline/runtime';
import { eventually } from '../../../test/support/eventually.ts';
import { type OpenServers, openServers, quiet } from '../../../test/support/open-servers.ts';
import { type BindUser, createBindUser } from '../src/bind-user.ts';
import { createMatchConsumer, type MatchConsumer } from '../src/consume-matches.ts';
import { createMatchHandler } from '../src/handle-binding-matched.ts';

export let servers: OpenServers;
export let consumer: MatchConsumer;
beforeAll(async () => {
  servers = await openServers();
}, 120_000);
afterAll(() => servers?.drop());

// Every test has users, codes and an instance of its own.
let number = 0;
export let instanceId = '';
export let match: BindingMatched;
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

export function startBinder(parts: { bindUser?: BindUser; publisher?: Publisher } = {}) {
  const { store, broker } = servers;
  const matches = createMatchHandler({
    bindingCodes: store.bindingCodes,
    bindUser: parts.bindUser ?? createBindUser(store),
    publisher: parts.publisher ?? broker,
  });
  consumer = createMatchConsumer({ broker, store, matches, logger: quiet, metrics: createMetrics('binder') });
  consumer.start();
}

export const codeOf = () => number.toString(16).toUpperCase().padStart(6, '0');

/** Makes a code for the test's instance, and claims it for the test's item as ingest would. */
export async function claimCode(code = codeOf(), given = match) {
  const { store } = servers;
  await store.transaction((session) => store.bindingCodes.create(code, instanceId, store.now(), 60_000, session));
  expect(await store.bindingCodes.claim(code, userKeyOf(given), given.msgId, store.now())).toBe(true);
}

export let sent = 0;
export const send = (body: unknown, type = 'binding.matched') =>
  servers.broker.publish(exchanges.binder, BINDER_QUEUE, { type, messageId: `m-${++sent}`, correlationId: 'c', body });

/** What has arrived about an item: settlements first, then texts. */
export const arrivedAbout = (msgId = match.msgId) =>
  servers.arrived
    .filter(({ body }) => body.msgId === msgId)
    .sort((a, b) => Number(a.type > b.type) - Number(a.type < b.type));
export const settledTimes = (times: number, msgId?: string) =>
  eventually(
    `${times} settlements`,
    () => arrivedAbout(msgId).filter(({ type }) => type === 'item.settled').length === times,
  );

export const textAbout = (key: string, content: string, msgId = match.msgId) => ({
  type: 'text',
  messageId: `${msgId}:${key}`,
  correlationId: msgId,
  body: { textId: `${msgId}:${key}`, msgId, kind: 'answer', decidedAt: expect.any(Number), content },
});
export const settledAbout = (consumed: boolean, msgId = match.msgId) => ({
  type: 'item.settled',
  messageId: `${msgId}:settled`,
  correlationId: msgId,
  body: { msgId, consumed },
});
