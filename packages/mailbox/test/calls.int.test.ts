// Calls are state: one that nobody remembers is made again, and no outcome is lost when its partition moves.
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { sleep } from '@pipeline/runtime';
import { eventually } from '../../../test/support/eventually.ts';
import { oneTo, openRig, type Replica, type Rig, userNames } from './rig.ts';
import type { ToyCall, ToyEvent } from './toy.ts';
import { startToyChild } from './toy-child.ts';

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

/** A replica whose calls are noted in `made`. */
const start = async (made: string[] = [], call?: (call: ToyCall) => Promise<void>, name = 'toy') => {
  const replica = await rig.startReplica({
    name,
    edges: {
      async call(_userKey, toyCall): Promise<ToyEvent> {
        const { id, n, ms } = toyCall;
        made.push(id);
        await (call ? call(toyCall) : sleep(ms));
        return { type: 'call.settled', id: `${id}:settled`, callId: id, n };
      },
    },
  });
  replicas.push(replica);
  return replica;
};

test('a slow call holds neither its user’s next events nor anybody else', async () => {
  const open = Promise.withResolvers<void>();
  await start([], () => open.promise);
  const user = 'wk1:slow-call';
  await rig.send(user, { n: 1, callMs: 1 });
  await rig.send(user, { n: 2 });
  await rig.send('wk1:other', { n: 1 });
  await rig.passesOn(user, ['1', '2']);
  await rig.passesOn('wk1:other', ['1']);
  open.resolve();
  await rig.passesOn(user, ['1', '2', 'called:1']);
}, 120_000);

test('a call that outlasts its guard is not made twice while its process lives', async () => {
  const made: string[] = [];
  const open = Promise.withResolvers<void>();
  await start(made, () => open.promise);
  const user = 'wk1:guarded';
  await rig.send(user, { n: 1, callMs: 1 });
  await eventually('the sweep has come by', async () => (await rig.states.load(user))?.wokenAt !== undefined);
  // Behind the wake in the same mailbox: once this is applied, the wake has been seen.
  await rig.send(user, { n: 2 });
  await rig.passesOn(user, ['1', '2']);
  open.resolve();
  await rig.passesOn(user, ['1', '2', 'called:1']);
  expect(made).toEqual(['1:1']);
}, 120_000);

test('a call whose process was killed is made again by the other replica', async () => {
  const { amqpUrl, mongoUri, partitions } = rig;
  const child = startToyChild({ amqpUrl, mongoUri, partitions, name: 'doomed' });
  await child.ready;
  const made: string[] = [];
  await start(made, async () => {});
  const user = 'wk1:orphan';
  await rig.send(user, { n: 1, callMs: 600_000 });
  await rig.passesOn(user, ['1']);
  await eventually('the event is acked', async () => (await rig.states.load(user))?.effects.length === 0);
  expect(made).toEqual([]);
  child.kill('SIGKILL');
  await rig.passesOn(user, ['1', 'called:1']);
  expect(made).toEqual(['1:2']);
}, 120_000);

test('an outcome is published into the mailbox when the partition has closed in between', async () => {
  const open = Promise.withResolvers<void>();
  const first = await start([], () => open.promise);
  const users = userNames(20, 'forwarded');
  for (const user of users) await rig.send(user, { n: 1, callMs: 1 });
  await Promise.all(users.map((user) => rig.passesOn(user, ['1'])));
  const stopping = first.mailbox.stop();
  await eventually('the partitions are given up', () => first.mailbox.problem() !== null);
  open.resolve();
  await stopping;
  const made: string[] = [];
  await start(made);
  await Promise.all(users.map((user) => rig.passesOn(user, ['1', 'called:1'])));
  for (const user of users) expect((await rig.stateOf(user))?.called).toEqual([1]);
}, 120_000);

test('calls of one user follow each other, each outcome once', async () => {
  await start();
  const user = 'wk1:many-calls';
  await Promise.all(oneTo(30).map((n) => rig.send(user, { n, callMs: 5 })));
  await eventually('all are done', async () => (await rig.stateOf(user))?.called.length === 30);
  expect((await rig.stateOf(user))?.called).toEqual(oneTo(30));
}, 120_000);

test('a call that rejects, against its contract, is made again', async () => {
  const made: string[] = [];
  await start(made, async ({ id }) => {
    if (id === '1:1') throw new Error('a call must not reject');
  });
  const user = 'wk1:rejecting';
  await rig.send(user, { n: 1, callMs: 1 });
  await rig.passesOn(user, ['1', 'called:1']);
  expect(made).toEqual(['1:1', '1:2']);
}, 120_000);

/** Users with an open call of 3.5 s each, longer than its guard, at a replica `a` that is alone. */
async function openSlowCalls(prefix: string, made: string[]) {
  const a = await start(made, () => sleep(3_500), 'a');
  const users = userNames(20, prefix);
  for (const user of users) await rig.send(user, { n: 1, callMs: 1 });
  await eventually('all calls are open', () => made.length === users.length);
  return { a, users };
}

async function areAnsweredOnce(users: string[]) {
  await Promise.all(users.map((user) => rig.passesOn(user, ['1', '2', 'called:1'])));
  for (const user of users) expect((await rig.stateOf(user))?.called).toEqual([1]);
}

test('a call that is open when its partition moves to a newcomer is not made again, and holds up nothing', async () => {
  const made: string[] = [];
  const { users } = await openSlowCalls('joined', made);
  const b = await start(made, async () => {}, 'b');
  await eventually('the newcomer has its share', () => b.mailbox.held().owned.length === 1);
  await Promise.all(users.map((user) => rig.send(user, { n: 2 })));
  await Promise.all(users.map((user) => rig.passesOn(user, ['1', '2'])));
  expect(users.filter((user) => rig.recorded.get(user)?.includes('called:1'))).toEqual([]);
  await areAnsweredOnce(users);
  expect(made).toEqual(users.map(() => '1:1'));
}, 120_000);

test('a call that is open when its process stops is not made again: the stop waits for its outcome', async () => {
  const made: string[] = [];
  const { a, users } = await openSlowCalls('stopped', made);
  await start(made, async () => {}, 'b');
  const stopping = a.mailbox.stop();
  await eventually('the other has everything', () => replicas[1]?.mailbox.held().owned.length === 2);
  await Promise.all(users.map((user) => rig.send(user, { n: 2 })));
  await areAnsweredOnce(users);
  await stopping;
  expect(made).toEqual(users.map(() => '1:1'));
}, 120_000);

test('a call whose outcome never comes is made again by the next owner, although the process is alive', async () => {
  const made: string[] = [];
  const never = Promise.withResolvers<void>();
  await start(made, () => never.promise, 'a');
  const users = userNames(4, 'hung');
  for (const user of users) await rig.send(user, { n: 1, callMs: 1 });
  await eventually('all calls are open', () => made.length === users.length);
  const again: string[] = [];
  const b = await start(again, async () => {}, 'b');
  await eventually('the newcomer has its share', () => b.mailbox.held().owned.length === 1);
  await eventually('its users are called again', () => again.length > 0, { withinMs: 20_000 });
  expect(new Set(again)).toEqual(new Set(['1:2']));
  never.resolve();
}, 120_000);
