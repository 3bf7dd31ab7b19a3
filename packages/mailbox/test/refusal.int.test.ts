// A full queue behind the mailbox: nothing of one user changes places, and no delivery waits on it.
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createManagementApi } from '@pipeline/broker';
import { mailboxQueues } from '@pipeline/contracts';
import { eventually } from '../../../test/support/eventually.ts';
import { oneTo, openRig, type Rig, userNames } from './rig.ts';

let rig: Rig;
beforeAll(async () => {
  rig = await openRig(2, { isRecording: false });
}, 120_000);
afterAll(() => rig?.drop(), 20_000);

test('while the next service’s queues are full, events are handled on; then everything passes in order', async () => {
  const api = createManagementApi(rig.managementUrl);
  const full = `/policies/${rig.vhost}/full`;
  await api.put(full, {
    pattern: '^sender\\.mailbox',
    definition: { 'max-length': 3, overflow: 'reject-publish' },
    'apply-to': 'queues',
    priority: 99,
  });
  const replica = await rig.startReplica();
  const users = userNames(10);
  await Promise.all(users.flatMap((user) => oneTo(30).map((n) => rig.send(user, { n }))));
  await eventually('every event is applied', async () => {
    const found = await rig.statesOf(users);
    return users.every((user) => found.get(user)?.state.numbers.length === 30);
  });
  expect(await replica.metric('mailbox_refused_publishes_total')).toBeGreaterThan(0);
  // Nothing is held for it: every delivery is acked.
  await replica.stop();
  expect((await rig.leftInQueues()).filter((id) => !id.startsWith('wake:'))).toEqual([]);
  await api.remove(full);
  for (const queue of mailboxQueues('sender', rig.partitions)) rig.record(queue);
  await rig.startReplica();
  await Promise.all(users.map((user) => rig.passesOn(user, oneTo(30).map(String))));
}, 120_000);
