// The toy mailbox as a process of its own, for tests that kill it. Its one argument is JSON; it says `ready` on stdout,
// and then each call with its beginning and end, and what it owns whenever that has changed.
import { createBroker } from '@pipeline/broker';
import { exchanges, mailboxQueues } from '@pipeline/contracts';
import { createLogger, createMetrics } from '@pipeline/runtime';
import { openStore } from '@pipeline/store';
import { Mailbox, type PartitionsHeld } from '../src/index.ts';
import { type ToyState, type ToyTypes, toyBehaviour, toyEdges } from './toy.ts';

export interface ToyProcessOptions {
  amqpUrl: string;
  mongoUri: string;
  partitions: number;
  name: string;
  /** Dies there, as by `kill -9`, the n-th time. */
  dieAt?: { point: string; nth: number };
}

/** A line on stdout. */
export type ToySaid = { call: string; userKey: string; from: number; to: number } | { held: PartitionsHeld };

const options = JSON.parse(process.argv[2] ?? '{}') as ToyProcessOptions;
const logger = createLogger({ service: options.name, level: 'warn', destination: process.stderr });
const store = await openStore({ uri: options.mongoUri, logger });
const broker = await createBroker({ url: options.amqpUrl, name: options.name, logger });
let met = 0;
const say = (line: ToySaid) => process.stdout.write(`${JSON.stringify(line)}\n`);
const edges = toyEdges(broker);
const call: typeof edges.call = async (userKey, toyCall) => {
  const from = Date.now();
  const outcome = await edges.call(userKey, toyCall);
  say({ call: toyCall.id, userKey, from, to: Date.now() });
  return outcome;
};
const mailbox = new Mailbox<ToyTypes>({
  service: 'router',
  replica: options.name,
  exchange: exchanges.routerMailboxes,
  queues: mailboxQueues('router', options.partitions),
  prefetch: 200,
  leaveToCallerMs: 5_000,
  broker,
  store,
  collection: store.actors<ToyState>('conversations'),
  behaviour: toyBehaviour,
  edges: { ...edges, call },
  logger,
  metrics: createMetrics('toy'),
  faultPoint(point) {
    if (point === options.dieAt?.point && ++met === options.dieAt.nth) process.kill(process.pid, 'SIGKILL');
  },
});
// As the services do, which wait for the topology: else the first heartbeat would be left out.
while (broker.problem() !== null) await new Promise((resolve) => setTimeout(resolve, 5));
mailbox.start();
process.on('SIGTERM', async () => {
  await mailbox.stop();
  await broker.close();
  await store.close();
  process.exit(0);
});
while (mailbox.problem() !== null) await new Promise((resolve) => setTimeout(resolve, 10));
process.stdout.write('ready\n');
let said = '';
setInterval(() => {
  const held = mailbox.held();
  if (said !== JSON.stringify(held)) say({ held });
  said = JSON.stringify(held);
}, 50);
