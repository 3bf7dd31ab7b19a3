// Events that kill whoever handles them: found by counting, given up alone. A crash throws nothing.
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { mailboxQueues } from '@pipeline/contracts';
import { eventually } from '../../../test/support/eventually.ts';
import { oneTo, openRig, type Rig, userNames } from './rig.ts';
import { startToyChild, type ToyChild } from './toy-child.ts';

let rig: Rig;
let child: ToyChild | undefined;
let started = 0;

beforeAll(async () => {
  rig = await openRig(2);
}, 240_000);
afterAll(async () => {
  child?.kill('SIGKILL');
  await child?.ended;
  await rig?.drop();
}, 240_000);

/** Starts the toy again whenever it dies, as a supervisor would, until the condition holds. @returns how often it died */
async function superviseUntil(what: string, condition: () => Promise<boolean>): Promise<number> {
  const { amqpUrl, mongoUri, partitions } = rig;
  let deaths = 0;
  let isOver = false;
  const supervising = (async () => {
    for (; !isOver; deaths++) {
      // As in production, no two processes have the same name.
      child = startToyChild({ amqpUrl, mongoUri, partitions, name: `toy-${++started}` });
      await child.ended;
    }
  })();
  await eventually(what, condition, { withinMs: 200_000 });
  isOver = true;
  child?.kill('SIGTERM');
  await supervising;
  return deaths - 1; // the last one was ours
}

test('an event that kills the process is parked after a few deaths; its user and all others go on', async () => {
  const users = userNames(10);
  const [victim = ''] = users;
  await Promise.all(
    users.flatMap((user) =>
      oneTo(5).map((n) => rig.send(user, user === victim && n === 2 ? { n, fault: 'kills' } : { n })),
    ),
  );
  const wanted = (user: string) => (user === victim ? ['1', '3', '4', '5', '6'] : ['1', '2', '3', '4', '5', '6']);
  const missing = (user: string) => wanted(user).length - new Set(rig.recorded.get(user)).size;
  let isLastSent = false;
  const deaths = await superviseUntil('all is passed on', async () => {
    // Behind what comes again after the last death, though it was passed on before: then that is handled too.
    if (!isLastSent && users.every((user) => missing(user) === 1)) {
      isLastSent = true;
      await Promise.all(users.map((user) => rig.send(user, { n: 6 })));
    }
    return users.every((user) => missing(user) === 0);
  });
  for (const user of users) await rig.passesOn(user, wanted(user));
  // Three deaths before it was suspected, four alone.
  expect(deaths).toBe(7);
  expect(await rig.store.deadLetters.list('router', 100)).toMatchObject([
    { code: 'event-deadly', attempts: 5, origin: { userKey: victim, messageId: `${victim}:2`, type: 'toy.number' } },
  ]);
  expect((await rig.leftInQueues()).filter((id) => !id.startsWith('wake:'))).toEqual([]);
}, 240_000);

test('one deadly event among 1,000 good ones: those are answered meanwhile', async () => {
  const users = userNames(100, 'among-good');
  const deadly = 'wk1:deadly-among-good';
  const letters = async () => (await rig.store.deadLetters.list('router', 100)).map(({ origin }) => origin.userKey);
  const isPassedOn = (user: string) => new Set(rig.recorded.get(user)).size === 10;
  await Promise.all(oneTo(5).flatMap((n) => users.map((user) => rig.send(user, { n }))));
  await rig.send(deadly, { n: 1, fault: 'kills' });
  await Promise.all(oneTo(5).flatMap((n) => users.map((user) => rig.send(user, { n: n + 5 }))));
  let answeredAt: number | null = null;
  let parkedAt: number | null = null;
  await superviseUntil('the deadly one is parked, and the good ones passed on', async () => {
    if (users.every(isPassedOn)) answeredAt ??= performance.now();
    if ((await letters()).includes(deadly)) parkedAt ??= performance.now();
    return answeredAt !== null && parkedAt !== null;
  });
  process.stderr.write(
    `good ones answered ${Math.round((parkedAt ?? 0) - (answeredAt ?? 0))} ms before it was parked\n`,
  );
  expect(answeredAt).toBeLessThan(parkedAt ?? 0);
  for (const user of users) await rig.passesOn(user, oneTo(10).map(String));
}, 240_000);

test('a wake that kills the process is put off', async () => {
  const user = 'wk1:deadly-wake';
  await rig.send(user, { n: 1, dueInMs: 20, fault: 'kills-on-wake' });
  const wakeAt = async () => (await rig.states.load(user))?.wakeAt ?? 0;
  await superviseUntil('it is put off', async () => (await wakeAt()) > rig.store.now() + 300_000);
  expect((await rig.store.deadLetters.list('router', 100)).filter(({ origin }) => origin.userKey === user)).toEqual([]);
}, 240_000);

test('events whose channel was closed again and again are handled all the same', async () => {
  const user = 'wk1:often-delivered';
  await Promise.all(oneTo(20).map((n) => rig.send(user, { n })));
  for (const round of oneTo(6)) {
    const came = new Set<string>();
    const consumers = mailboxQueues('router', rig.partitions).map((queue) =>
      rig.broker.consume({
        queue,
        prefetch: 50,
        consumerTag: `${queue} ${round}`,
        onDelivery: ({ messageId }) => void came.add(messageId),
      }),
    );
    await eventually('all have come', () => oneTo(20).every((n) => came.has(`${user}:${n}`)));
    await Promise.all(consumers.map((consumer) => consumer.close()));
  }
  await superviseUntil('all are passed on', async () => new Set(rig.recorded.get(user)).size === 20);
  await rig.passesOn(user, oneTo(20).map(String));
  expect((await rig.store.deadLetters.list('router', 100)).filter(({ origin }) => origin.userKey === user)).toEqual([]);
  expect(await rig.store.poisonCounts.raise('router', `alone:${user}:${user}:1`)).toBe(1);
}, 240_000);
