// Replicas come, leave, die, freeze and lose their servers while numbers flow: partitions move, and nothing else happens.
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { createManagementApi } from '@pipeline/broker';
import { sleep } from '@pipeline/runtime';
import { eventually } from '../../../test/support/eventually.ts';
import { startTcpProxy, type TcpProxy } from '../../../test/support/tcp-proxy.ts';
import { oneTo, openRig, type Rig, userNames } from './rig.ts';
import { startToyChild, type ToyChild } from './toy-child.ts';
import type { ToyProcessOptions } from './toy-process.ts';

const PARTITIONS = 24;
const USERS = userNames(72);
const PAUSE_MS = 250;
/** The broker's statistics are 5 s old at the worst. */
const STATISTICS_MS = 5_000;
/** A short heartbeat, so that the broker gives a silent process up within seconds. */
const HEARTBEAT = '?heartbeat=2';

let rig: Rig;
let proxy: TcpProxy | null = null;
let children: Record<string, ToyChild> = {};
let endStream = () => Promise.resolve();

beforeAll(async () => {
  rig = await openRig(PARTITIONS);
}, 120_000);
afterEach(async () => {
  await endStream();
  for (const child of Object.values(children)) {
    child.kill('SIGKILL');
    child.kill('SIGCONT');
  }
  await Promise.all(Object.values(children).map((child) => child.ended));
  children = {};
  await proxy?.close();
  proxy = null;
}, 120_000);
afterAll(() => rig?.drop(), 120_000);

async function start(names: string[], changes: Partial<ToyProcessOptions> = {}) {
  const { amqpUrl, mongoUri } = rig;
  for (const name of names)
    children[name] = startToyChild({
      amqpUrl: amqpUrl + HEARTBEAT,
      mongoUri,
      partitions: PARTITIONS,
      name,
      ...changes,
    });
  await Promise.all(names.map((name) => children[name]?.ready));
}

const child = (name: string): ToyChild => {
  const found = children[name];
  if (!found) throw new Error(`${name} was not started`);
  return found;
};

/** How many partitions each replica really reads, by the broker's word. */
async function activeCounts(): Promise<Record<string, number>> {
  const api = createManagementApi(rig.managementUrl);
  const consumers = await api.get<{ consumer_tag: string; active: boolean; queue: { name: string } }[]>(
    `/consumers/${rig.vhost}`,
  );
  const counts: Record<string, number> = {};
  for (const { consumer_tag, active, queue } of consumers) {
    const [name, tagged] = consumer_tag.split(' ');
    if (tagged !== queue.name || !active || !tagged.startsWith('router')) continue;
    counts[String(name)] = (counts[String(name)] ?? 0) + 1;
  }
  return counts;
}

const isSpread = (wanted: Record<string, number>, withinMs: number) =>
  eventually(
    `partitions are spread ${JSON.stringify(wanted)}`,
    async () => {
      expect(await activeCounts()).toEqual(wanted);
      return true;
    },
    { withinMs: withinMs + STATISTICS_MS, everyMs: 250 },
  );

let round = 0;

/** Sends every user a number four times a second, some with a call, until it is checked. */
function startStream() {
  const users = USERS.map((user) => `${user}-${round}`);
  round++;
  const calls = new Map<string, number[]>(users.map((user) => [user, []]));
  let isEnough = false;
  let sent = 0;
  const sending = (async () => {
    for (; !isEnough; ) {
      const n = ++sent;
      await Promise.all(
        users.map((user, index) => {
          const hasCall = (n + index) % 10 === 0;
          if (hasCall) calls.get(user)?.push(n);
          return rig.send(user, hasCall ? { n, callMs: 100 } : { n });
        }),
      );
      await sleep(PAUSE_MS);
    }
  })();
  endStream = () => {
    isEnough = true;
    return sending;
  };
  return {
    sent: () => sent,
    /** @param isClean nobody died or lost anything: then nothing at all may have happened twice */
    async check({ isClean: isOrderly }: { isClean: boolean }) {
      const since = sent;
      await eventually('it has flowed on', () => sent > since + 4);
      await endStream();
      await eventually(
        'every list is complete',
        async () => {
          const found = await rig.statesOf(users);
          const short = users.filter((user) => {
            const document = found.get(user);
            return (
              document?.state.numbers.length !== sent ||
              document.state.called.length !== calls.get(user)?.length ||
              document.effects.length > 0
            );
          });
          if (short.length > 0)
            throw new Error(`${short.length} users, ${short[0]}: ${JSON.stringify(found.get(short[0] ?? ''))}`);
          return true;
        },
        { withinMs: 60_000, everyMs: 100 },
      );
      // On a starved machine a replica may take the database for lost: it then gives up its partitions as they are.
      const isClean = isOrderly && !Object.values(children).some((one) => one.errors().includes('mailbox.suspended'));
      const found = await rig.statesOf(users);
      for (const user of users) {
        const { numbers, called } = found.get(user)?.state ?? { numbers: [], called: [] };
        expect([user, numbers]).toEqual([user, oneTo(sent)]);
        expect([user, called]).toEqual([user, calls.get(user)]);
        const raw = rig.recorded.get(user) ?? [];
        const passedOn = isClean ? raw : [...new Set(raw)];
        expect([user, passedOn.filter((what) => !what.startsWith('called'))]).toEqual([user, oneTo(sent).map(String)]);
      }
      const made = Object.values(children).flatMap((one) => one.calls);
      for (const [user, ofUser] of Map.groupBy(made, ({ userKey }) => userKey)) {
        const inOrder = ofUser.toSorted((a, b) => a.from - b.from);
        for (const [index, call] of inOrder.entries())
          if (isClean) expect([user, call.from]).toEqual([user, Math.max(call.from, inOrder[index - 1]?.to ?? 0)]);
        if (isClean) expect([user, inOrder.map(({ call }) => call)]).toEqual([user, called(user)]);
      }
      return sent;
    },
  };

  function called(user: string) {
    return calls.get(user)?.map((n) => `${n}:1`);
  }
}

test('from 1 to 3 and to 2 replicas under load: spread evenly each time, nothing lost, repeated, reordered or overlapping', async () => {
  const stream = startStream();
  await start(['a']);
  await isSpread({ a: 24 }, 5_000);
  await start(['b', 'c']);
  await isSpread({ a: 8, b: 8, c: 8 }, 10_000);
  child('c').kill('SIGTERM');
  expect(await child('c').ended).toBe(0);
  await isSpread({ a: 12, b: 12 }, 10_000);
  for (const name of ['a', 'b'])
    await eventually(`${name} says the same`, () => {
      const { owned, standingBy, replicas } = child(name).held();
      expect([owned.length, standingBy.length, replicas]).toEqual([12, 12, ['a', 'b']]);
      return true;
    });
  await stream.check({ isClean: true });
}, 120_000);

test('all killed but one: the last one reads everything', async () => {
  await start(['a', 'b', 'c']);
  await isSpread({ a: 8, b: 8, c: 8 }, 10_000);
  const stream = startStream();
  await eventually('it flows', () => stream.sent() > 4);
  child('a').kill('SIGKILL');
  child('b').kill('SIGKILL');
  await isSpread({ c: 24 }, 10_000);
  await stream.check({ isClean: false });
}, 120_000);

test('a frozen owner loses its partitions, and gets its share again when it wakes', async () => {
  await start(['a', 'b']);
  await isSpread({ a: 12, b: 12 }, 10_000);
  const stream = startStream();
  await eventually('it flows', () => stream.sent() > 4);
  child('a').kill('SIGSTOP');
  await isSpread({ b: 24 }, 20_000);
  child('a').kill('SIGCONT');
  await isSpread({ a: 12, b: 12 }, 15_000);
  await stream.check({ isClean: false });
}, 120_000);

test('a replica that has lost MongoDB, but not the broker, leaves all to the other, also while nothing happens', async () => {
  proxy = await startTcpProxy(rig.mongoUri);
  await start(['a'], { mongoUri: proxy.through(rig.mongoUri) });
  await start(['b']);
  await isSpread({ a: 12, b: 12 }, 10_000);
  proxy.pause();
  await isSpread({ b: 24 }, 20_000);
  const stream = startStream();
  await eventually('it flows', () => stream.sent() > 4);
  proxy.resume();
  await isSpread({ a: 12, b: 12 }, 20_000);
  await stream.check({ isClean: false });
}, 120_000);

test('a replica that has lost the broker, but not MongoDB, leaves all to the other', async () => {
  proxy = await startTcpProxy(rig.amqpUrl);
  await start(['a'], { amqpUrl: proxy.through(rig.amqpUrl) + HEARTBEAT });
  await start(['b']);
  await isSpread({ a: 12, b: 12 }, 10_000);
  const stream = startStream();
  await eventually('it flows', () => stream.sent() > 4);
  await proxy.refuse();
  proxy.cut();
  await isSpread({ b: 24 }, 15_000);
  await eventually('the other has forgotten it', () => child('b').held().owned.length === 24);
  await proxy.accept();
  await isSpread({ a: 12, b: 12 }, 15_000);
  await stream.check({ isClean: false });
}, 120_000);

test('all lose the broker at once: everything is read again as soon as it is back', async () => {
  proxy = await startTcpProxy(rig.amqpUrl);
  await start(['a', 'b', 'c'], { amqpUrl: proxy.through(rig.amqpUrl) + HEARTBEAT });
  await isSpread({ a: 8, b: 8, c: 8 }, 10_000);
  const stream = startStream();
  await eventually('it flows', () => stream.sent() > 4);
  await proxy.refuse();
  proxy.cut();
  const before = stream.sent();
  await eventually('all are taken for dead', () => stream.sent() > before + 14);
  await proxy.accept();
  await isSpread({ a: 8, b: 8, c: 8 }, 15_000);
  await stream.check({ isClean: false });
}, 120_000);
