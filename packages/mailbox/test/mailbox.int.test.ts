// The mailbox as its users see it: order, exactly once, and nobody held up by somebody else's trouble.
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { exchanges } from '@pipeline/contracts';
import { eventually } from '../../../test/support/eventually.ts';
import { oneTo, openRig, type Replica, type Rig, userNames } from './rig.ts';

let rig: Rig;
let replicas: Replica[] = [];

beforeAll(async () => {
  rig = await openRig(2);
}, 120_000);
afterEach(async () => {
  await Promise.all(replicas.map((replica) => replica.stop()));
  replicas = [];
}, 120_000);
afterAll(() => rig?.drop(), 20_000);

const start = async (options?: Parameters<Rig['startReplica']>[0]) => {
  const replica = await rig.startReplica(options);
  replicas.push(replica);
  return replica;
};

const strings = (count: number) => oneTo(count).map(String);

test('200 users get 50 events each, in order and once, although a fifth of them comes twice', async () => {
  await start();
  const users = userNames(200, 'many');
  await Promise.all(
    users.flatMap((user, index) =>
      oneTo(50).flatMap((n) => [
        rig.send(user, { n, sendTime: n }),
        ...((n + index) % 5 === 0 ? [rig.send(user, { n, sendTime: n })] : []),
      ]),
    ),
  );
  await Promise.all(users.map((user) => rig.passesOn(user, strings(50), 60_000)));
  const found = await rig.statesOf(users);
  for (const user of users) expect(found.get(user)?.state.numbers).toEqual(oneTo(50));
}, 90_000);

test('an event that comes again after 150 others is still known, with a send time or without', async () => {
  await start();
  const [plain, timed] = ['wk1:again-plain', 'wk1:again-timed'];
  await Promise.all(oneTo(150).flatMap((n) => [rig.send(plain, { n }), rig.send(timed, { n, sendTime: 1_000 + n })]));
  for (const n of [1, 50, 149, 151]) await rig.send(plain, { n });
  for (const n of [1, 50, 149, 151]) await rig.send(timed, { n, sendTime: 1_000 + n });
  await rig.passesOn(plain, strings(151));
  await rig.passesOn(timed, strings(151));
  expect((await rig.stateOf(plain))?.numbers).toEqual(oneTo(151));
  expect((await rig.stateOf(timed))?.numbers).toEqual(oneTo(151));
}, 120_000);

test('an event whose save is lost is not taken for applied, although its batch was longer than the memory for ids', async () => {
  const user = 'wk1:long-batch';
  await Promise.all(oneTo(70).map((n) => rig.send(user, { n })));
  // It saves them, and gets no further: none of its ids has moved.
  const first = await start({
    faultPoint: async (point) => {
      if (point === 'effect-run') await new Promise(() => {});
    },
  });
  const savedIds = async () => (await rig.states.load(user))?.recentIds.length ?? 0;
  await eventually('the first ones are saved', async () => (await savedIds()) === 70);
  await first.broker.close();
  await first.store.close();
  // One batch with 130 more: the ids that the document can't keep are written before the document is.
  await Promise.all(
    oneTo(200)
      .slice(70)
      .map((n) => rig.send(user, { n })),
  );
  const hasMoved = async () => rig.store.processedIds.isKnown('router', user, `${user}:1`);
  expect(await hasMoved()).toBe(false);
  const second = await start({
    faultPoint: async (point) => {
      if (point === 'side-writes-saved' && (await hasMoved())) await new Promise(() => {}); // this process never gets to save
    },
  });
  await eventually('ids have been written', hasMoved);
  await second.broker.close();
  await second.store.close();
  await start();
  await rig.passesOn(user, strings(200));
}, 120_000);

test('a document that somebody else has saved is read again and the event reduced again', async () => {
  await start();
  const user = 'wk1:stale';
  await rig.send(user, { n: 1 });
  await rig.passesOn(user, ['1']);
  await eventually('the effect is removed', async () => (await rig.states.load(user))?.effects.length === 0);
  const stored = await rig.states.load(user);
  if (!stored) throw new Error('no document');
  const bumped = { ...stored, version: stored.version + 1, state: { ...stored.state, numbers: [1, 100] } };
  expect(await rig.states.saveAll([{ document: bumped, replaces: bumped.version - 1 }])).toEqual(['saved']);
  await Promise.all([2, 3].map((n) => rig.send(user, { n })));
  await rig.passesOn(user, ['1', '2', '3']);
  expect((await rig.stateOf(user))?.numbers).toEqual([1, 100, 2, 3]);
}, 120_000);

test('effects that are refused hold no delivery, and pass in order once they are taken', async () => {
  const users = userNames(10, 'refused');
  let isRefusing = true;
  const replica = await start({
    edges: {
      async runEffect(userKey, { id, what }) {
        if (isRefusing && userKey !== 'wk1:unrefused') throw new Error('refused');
        await rig.broker.publish(exchanges.senderMailboxes, userKey, {
          type: 'toy.effect',
          messageId: id,
          correlationId: id,
          body: { what },
        });
      },
    },
  });
  await Promise.all(
    users.map(async (user) => {
      for (const n of oneTo(20)) await rig.send(user, { n });
    }),
  );
  await rig.send('wk1:unrefused', { n: 1 });
  await rig.passesOn('wk1:unrefused', ['1']);
  await eventually('every event is applied', async () => {
    const found = await rig.statesOf(users);
    return users.every((user) => found.get(user)?.state.numbers.length === 20);
  });
  for (const user of users) expect(rig.recorded.get(user)).toBeUndefined();
  // Everything was acked although nothing could be passed on: nothing comes again.
  await replica.stop();
  expect(await rig.leftInQueues()).toEqual([]);
  isRefusing = false;
  await start();
  await Promise.all(users.map((user) => rig.passesOn(user, strings(20))));
}, 120_000);

test('an event that throws, or that the database refuses, is parked alone after 5 attempts', async () => {
  const replica = await start();
  const [poison, unsavable] = ['wk1:poison', 'wk1:unsavable'];
  await Promise.all([
    ...oneTo(3).map((n) => rig.send(poison, n === 2 ? { n, fault: 'throws' } : { n })),
    ...oneTo(3).map((n) => rig.send(unsavable, n === 2 ? { n, fault: 'unsavable' } : { n })),
  ]);
  await Promise.all(oneTo(20).map((n) => rig.send('wk1:neighbour', { n })));
  const parked = () => rig.store.deadLetters.list('router', 100);
  await rig.passesOn('wk1:neighbour', strings(20));
  expect(await parked()).toEqual([]); // the neighbour has not waited for them
  await Promise.all([poison, unsavable].map((user) => rig.passesOn(user, ['1', '3'])));
  expect((await rig.stateOf(unsavable))?.numbers).toEqual([1, 3]);
  const origins = (await parked()).map(({ attempts, origin }) => [attempts, origin.userKey, origin.messageId]);
  expect(origins.sort()).toEqual([
    [5, poison, `${poison}:2`],
    [5, unsavable, `${unsavable}:2`],
  ]);
  const handled = (outcome: string) => replica.metric('mailbox_events_total', { type: 'toy.number', outcome });
  await eventually('all are settled', async () => (await handled('done')) + (await handled('parked')) === 26);
  expect(await handled('parked')).toBe(2);
}, 120_000);

test('a wake on which the reducer throws is not parked, and is put off instead of spinning', async () => {
  await start();
  const user = 'wk1:bad-wake';
  await rig.send(user, { n: 1, dueInMs: 20, fault: 'throws-on-wake' });
  const isPutOff = async () => ((await rig.states.load(user))?.wakeAt ?? 0) > rig.store.now() + 300_000;
  await eventually('the wake is put off', isPutOff);
  await rig.send(user, { n: 2 });
  await rig.passesOn(user, ['1', '2']);
  await eventually('it still is, once the effect is done', isPutOff);
  expect((await rig.store.deadLetters.list('router', 100)).filter(({ origin }) => origin.userKey === user)).toEqual([]);
}, 120_000);

test('timers fire when they are due, and not before', async () => {
  await start();
  const user = 'wk1:timer';
  const startedAt = performance.now();
  await rig.send(user, { n: 1, dueInMs: 300 });
  await rig.passesOn(user, ['1', 'due:1']);
  const took = performance.now() - startedAt;
  expect(took).toBeGreaterThan(295);
  expect(took).toBeLessThan(10_000);
  await eventually('nothing is due', async () => (await rig.states.load(user))?.wakeAt === null);
}, 120_000);

test('the sweep wakes whoever is overdue and in nobody’s memory', async () => {
  const first = await start();
  const user = 'wk1:swept';
  await rig.send(user, { n: 1, dueInMs: 300 });
  await rig.passesOn(user, ['1']);
  await eventually('the effect is removed', async () => (await rig.states.load(user))?.effects.length === 0);
  await first.stop();
  await start();
  await rig.passesOn(user, ['1', 'due:1']);
}, 120_000);

test('effects of an event born in the process are published after its crash, although nothing is redelivered', async () => {
  const user = 'wk1:half-done';
  const first = await start({
    edges: {
      async runEffect(userKey, { id: messageId, what }) {
        if (what.startsWith('due')) await new Promise(() => {}); // it never gets to publish
        const message = { type: 'toy.effect', messageId, correlationId: messageId, body: { what } };
        await rig.broker.publish(exchanges.senderMailboxes, userKey, message);
      },
    },
  });
  await rig.send(user, { n: 1, dueInMs: 300 });
  await eventually('the due time is taken', async () => (await rig.stateOf(user))?.due.length === 0);
  await first.broker.close();
  await first.store.close();
  await start();
  await rig.passesOn(user, ['1', 'due:1']);
}, 120_000);

test('idle actors leave the memory, those with something due soon stay, and nothing is lost by it', async () => {
  const replica = await start({ maxActors: 100 });
  const waiting = userNames(20, 'waiting');
  await Promise.all(waiting.map((user) => rig.send(user, { n: 1, dueInMs: 2_500 })));
  const passing = userNames(500, 'passing');
  await Promise.all(passing.map((user) => rig.send(user, { n: 1 })));
  await Promise.all(passing.map((user) => rig.passesOn(user, ['1'])));
  // Whoever comes now finds all of them idle.
  for (const n of [2, 3]) {
    await rig.send('wk1:newcomer', { n: n - 1 });
    await Promise.all(passing.slice(0, 100).map((user) => rig.send(user, { n })));
    await Promise.all(passing.slice(0, 100).map((user) => rig.passesOn(user, oneTo(n).map(String))));
  }
  await eventually('most have left', async () => {
    await rig.send(`wk1:more-${crypto.randomUUID()}`, { n: 1 });
    return (await replica.metric('mailbox_actors')) <= 120;
  });
  await Promise.all(waiting.map((user) => rig.passesOn(user, ['1', 'due:1'])));
}, 120_000);

test('stop ends what has begun and leaves nothing half done', async () => {
  const first = await start();
  const users = userNames(50, 'drained');
  const sending = Promise.all(
    users.map(async (user) => {
      for (const n of oneTo(20)) await rig.send(user, { n });
    }),
  );
  await eventually('some are handled', () => users.some((user) => (rig.recorded.get(user)?.length ?? 0) > 3));
  const stoppingAt = performance.now();
  await first.stop();
  expect(performance.now() - stoppingAt).toBeLessThan(9_000);
  const found = await rig.statesOf(users);
  for (const user of users) {
    const numbers = found.get(user)?.state.numbers ?? [];
    expect(numbers).toEqual(oneTo(numbers.length));
    expect(found.get(user)?.effects ?? []).toEqual([]);
    expect(rig.recorded.get(user) ?? []).toEqual(numbers.map(String)); // once: no repeats
  }
  await start();
  await sending;
  await Promise.all(users.map((user) => rig.passesOn(user, strings(20))));
  for (const user of users) expect(rig.recorded.get(user)).toEqual(strings(20));
}, 120_000);

test('an event that can’t be read is kept and acked, also if it has no id', async () => {
  const replica = await start();
  for (const n of [1, 2])
    await rig.broker.publish(exchanges.routerMailboxes, 'wk1:unreadable', {
      type: 'who.knows',
      messageId: '',
      correlationId: '',
      body: { n },
    });
  // Counted with the ack, which follows the keeping.
  const parked = () => replica.metric('mailbox_events_total', { type: 'unreadable', outcome: 'parked' });
  await eventually('both are parked', async () => (await parked()) === 2);
  const kept = await rig.store.deadLetters.list('router', 100);
  expect(kept.filter(({ origin }) => origin.type === 'who.knows')).toHaveLength(2);
  await replica.stop();
  expect(await rig.leftInQueues()).toEqual([]);
}, 120_000);
