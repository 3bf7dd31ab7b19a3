// Bench, yardsticks: what broker, database and HTTP do by themselves, in the same run on the same machine.

import { customerItem } from '@pipeline/contracts';
import { connect } from 'amqplib';
import { startChild } from '../child.ts';
import { observe } from '../observe.ts';
import { type Latency, latencyOf } from '../percentiles.ts';
import { control, type Stage } from '../stage.ts';
import { now } from '../turns.ts';

const KEYS = 200;
const PREFETCH = 200;
const EXCHANGE = 'bench.yardstick';
const COLLECTION = 'bench_yardstick';

export interface Yardsticks {
  /** Messages published, confirmed, consumed and acked in a second; each key waits for its confirm. */
  broker: { queues: number; messagesPerSecond: number; bytes: number; confirm: Latency }[];
  /** One small document replaced after the other, majority and journal. */
  databaseWrite: Latency;
  httpLoop: { users: number; turnsPerSecond: number };
  violations: string[];
}

export interface YardstickOptions {
  users: string[];
  warmUpMs: number;
  measureMs: number;
}

const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

export async function runYardsticks(stage: Stage, options: YardstickOptions): Promise<Yardsticks> {
  const broker = [await runBroker(stage, 1, options.measureMs), await runBroker(stage, 24, options.measureMs)];
  const databaseWrite = await runDatabase(stage, options.measureMs / 2);
  return { broker, databaseWrite, ...(await runHttpLoop(stage, options)) };
}

async function runBroker({ servers, wecom }: Stage, queues: number, measureMs: number) {
  const connection = await connect(servers.amqpUrl);
  const publishing = await connection.createConfirmChannel();
  const exchange = `${EXCHANGE}.${queues}`;
  await publishing.assertExchange(exchange, 'x-consistent-hash', { durable: true });
  let consumed = 0;
  for (let index = 0; index < queues; index += 1) {
    const { queue } = await publishing.assertQueue(`${exchange}.${index}`, {
      durable: true,
      arguments: { 'x-queue-type': 'quorum', 'x-single-active-consumer': true },
    });
    await publishing.bindQueue(queue, exchange, '1');
    const consuming = await connection.createChannel();
    await consuming.prefetch(PREFETCH);
    await consuming.consume(queue, (message) => {
      if (!message) return;
      consumed += 1;
      consuming.ack(message);
    });
  }
  const content = Buffer.from(JSON.stringify(exampleItem()));
  const properties = { persistent: true, mandatory: true, contentType: 'application/json', type: customerItem.type };
  const publish = (key: string) =>
    new Promise<void>((resolve, reject) =>
      publishing.publish(exchange, key, content, { ...properties, messageId: key, correlationId: key }, (error) =>
        error ? reject(error) : resolve(),
      ),
    );
  let isOver = false;
  const confirms: number[] = [];
  const keys = Array.from({ length: KEYS }, (_, index) => `${wecom.hello.ids?.openKfId}:wm-${index}`);
  const publishers = keys.map(async (key) => {
    while (!isOver) {
      const at = now();
      await publish(key);
      confirms.push(now() - at);
    }
  });
  await wait(measureMs / 4);
  const from = { at: now(), consumed, confirms: confirms.length };
  await wait(measureMs);
  const messagesPerSecond = ((consumed - from.consumed) * 1000) / (now() - from.at);
  isOver = true;
  await Promise.all(publishers);
  for (let index = 0; index < queues; index += 1) await publishing.deleteQueue(`${exchange}.${index}`);
  await publishing.deleteExchange(exchange);
  await connection.close();
  return { queues, messagesPerSecond, bytes: content.length, confirm: latencyOf(confirms.slice(from.confirms)) };
}

/** As large as what the pipeline publishes for a message. */
const exampleItem = () => ({
  msgId: 'x'.repeat(26),
  sendTime: 1_700_000_000,
  receivedAt: 1_700_000_000_123,
  msgtype: 'text',
  text: 'wm-0000123 第 1234 句:帮我看看明天的天气,再安排一下行程',
  decidedBy: null,
  match: null,
});

async function runDatabase({ database }: Stage, measureMs: number): Promise<Latency> {
  const collection = database.collection<{ _id: string; version: number }>(COLLECTION, {
    writeConcern: { w: 'majority' },
  });
  const took: number[] = [];
  for (const from = now(); now() - from < measureMs; ) {
    const at = now();
    await collection.replaceOne({ _id: 'one' }, { version: took.length }, { upsert: true });
    took.push(now() - at);
  }
  await collection.drop();
  return latencyOf(took);
}

/** The same closed loop, with one process in the pipeline's place. */
async function runHttpLoop(stage: Stage, { users, warmUpMs, measureMs }: YardstickOptions) {
  const { wecom, bridge } = stage;
  const ids = wecom.hello.ids;
  const loop = await startChild<never>('./http-loop-process.ts', {
    BENCH_WECOM_URL: wecom.hello.url,
    BENCH_BRIDGE_URL: bridge.hello.url,
    BENCH_CORP_ID: ids?.corpId ?? '',
    BENCH_SECRET: ids?.secret ?? '',
    BENCH_OPEN_KFID: ids?.openKfId ?? '',
  });
  const keys = { token: 'unused', encodingAesKey: 'x'.repeat(43) };
  await control(wecom, 'PUT', '/callback', { ...keys, url: `${loop.hello.url}/ring` });
  await wecom.ask({ kind: 'closed', users });
  await wait(warmUpMs);
  const from = now();
  await wait(measureMs);
  const to = now();
  const { turns, violations } = await observe(stage);
  await control(wecom, 'DELETE', '/callback');
  await loop.stop();
  const count = turns.filter(({ answeredAt }) => answeredAt !== null && answeredAt > from && answeredAt <= to).length;
  return { httpLoop: { users: users.length, turnsPerSecond: (count * 1000) / (to - from) }, violations };
}
