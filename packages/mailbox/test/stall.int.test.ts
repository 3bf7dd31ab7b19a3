// A partition that has messages and an owner, but is delivered to somebody else who does nothing.
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { mailboxQueues } from '@pipeline/contracts';
import { sleep } from '@pipeline/runtime';
import { eventually } from '../../../test/support/eventually.ts';
import { openRig, type Rig, userNames } from './rig.ts';

let rig: Rig;
beforeAll(async () => {
  rig = await openRig(2);
}, 120_000);
afterAll(() => rig?.drop(), 20_000);

test('a partition that delivers nothing is noticed, counted, told by readiness and subscribed anew', async () => {
  const [stuck = ''] = mailboxQueues('router', 2);
  const idler = rig.broker.consume({ queue: stuck, prefetch: 500, consumerTag: 'does nothing', onDelivery() {} });
  await eventually('it is first in line', () => idler.isOpen());
  const replica = await rig.startReplica({ stallLookMs: 20 });
  const users = userNames(20, 'stalled');
  for (const user of users) await rig.send(user, { n: 1 });
  await eventually('the stall is told', () =>
    /delivers nothing from partitions 0/.test(replica.mailbox.problem() ?? ''),
  );
  expect(await replica.metric('mailbox_partitions_stalled_total')).toBeGreaterThan(0);
  const passedOn = () => users.filter((user) => rig.recorded.has(user)).length;
  await eventually('the other partition is not concerned', () => passedOn() > 0);
  expect(passedOn()).toBeLessThan(users.length);
  await idler.close();
  await Promise.all(users.map((user) => rig.passesOn(user, ['1'])));
  await eventually('all is well', () => replica.mailbox.problem() === null);
  await replica.stop();
}, 120_000);

test('partitions that nobody writes to are quiet, not stalled', async () => {
  const replica = await rig.startReplica({ name: 'quiet', stallLookMs: 50 });
  // Three rounds of probes: each takes 20 looks.
  await sleep(3_000);
  expect(await replica.metric('mailbox_partitions_stalled_total')).toBe(0);
  expect(await replica.metric('mailbox_events_total')).toBe(0);
}, 120_000);
