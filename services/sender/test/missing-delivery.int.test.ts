// A text's bytes are kept for a week; what waits for longer is told apart from what can't be sent just now.
import { expect, test } from '@jest/globals';
import { createMetrics } from '@pipeline/runtime';
import { quiet as logger, openReplicaStores } from '../../../test/support/open-servers.ts';
import { ledgerEdges } from '../src/handle-mailbox.ts';
import { createAccountGates } from '../src/pacing/account-gates.ts';
import { createSendConcurrency } from '../src/pacing/send-concurrency.ts';
import { ledgerAfterMessage, longAnswer, userKey } from './ledger-world.ts';

test('a send whose bytes the database has forgotten is not offered to WeCom, and never will be', async () => {
  const { stores, drop } = await openReplicaStores(1);
  const [store] = stores;
  if (!store) throw new Error('no store');
  const edges = ledgerEdges({
    store,
    publisher: { publish: () => Promise.reject(new Error('nothing is to be published')) },
    wecom: { sendText: () => Promise.reject(new Error('nothing is to be sent')) },
    gates: createAccountGates(),
    concurrency: createSendConcurrency(),
    logger,
    metrics: createMetrics('test'),
  });
  const world = ledgerAfterMessage();
  world.text('a', 'answer', longAnswer(3));
  const call = world.call();
  if (!call) throw new Error('no call');
  expect(await edges.call(userKey, call)).toMatchObject({ callId: call.id, outcome: { kind: 'missing' } });
  await drop();
});
