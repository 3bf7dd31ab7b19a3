// A delivery that stays unacked for longer than RabbitMQ's consumer_timeout: older versions close the channel, 4.3 cancels
// the consumer. Either way the partition goes on, and nothing is lost or passed on twice.
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { eventually } from '../../../test/support/eventually.ts';
import { type OwnRabbitmq, startOwnRabbitmq } from '../../../test/support/own-rabbitmq.ts';
import { oneTo, openRig, type Rig, userNames } from './rig.ts';

const CONSUMER_TIMEOUT_MS = 3_000;

let rabbitmq: OwnRabbitmq;
let rig: Rig;
beforeAll(async () => {
  rabbitmq = await startOwnRabbitmq();
  // Read when a channel is opened and when a queue is declared; the default is 30 minutes, looked at once a minute.
  const settings = { consumer_timeout: CONSUMER_TIMEOUT_MS, channel_tick_interval: 500, quorum_tick_interval: 500 };
  for (const [name, value] of Object.entries(settings))
    await rabbitmq.ctl('eval', `application:set_env(rabbit, ${name}, ${value}).`);
  rig = await openRig(2, { rabbitmq });
}, 240_000);
afterAll(async () => {
  await rig?.drop();
  await rabbitmq?.stop();
}, 60_000);

test('a delivery unacked for too long comes again, and its partition goes on', async () => {
  let isHung = false;
  let letGo = () => {};
  const hung = new Promise<void>((resolve) => {
    letGo = resolve;
  });
  const faultPoint = (step: string) => {
    if (step !== 'saved' || isHung) return;
    isHung = true;
    return hung;
  };
  const replicas = [
    await rig.startReplica({ name: 'one', faultPoint }),
    await rig.startReplica({ name: 'two', faultPoint }),
  ];
  const users = userNames(20, 'timeout');
  await Promise.all(users.map((user) => rig.send(user, { n: 1 })));
  await eventually('one hangs', () => isHung);
  await eventually('the others are served', () => rig.recorded.size === users.length - 1);
  await Promise.all(users.map((user) => rig.send(user, { n: 2 })));
  await Promise.all(users.map((user) => rig.passesOn(user, ['1', '2'], 40_000)));
  letGo();
  await Promise.all(users.map((user) => rig.send(user, { n: 3 })));
  await Promise.all(users.map((user) => rig.passesOn(user, oneTo(3).map(String))));
  for (const [, { state }] of await rig.statesOf(users)) expect(state.numbers).toEqual(oneTo(3));
  for (const { mailbox } of replicas) await eventually('all is well', () => mailbox.problem() === null);
  await Promise.all(replicas.map((replica) => replica.stop()));
  expect(await rig.leftInQueues()).toEqual([]);
  expect(await rig.store.deadLetters.list('router', 10)).toEqual([]);
}, 120_000);
