// The toy mailbox as a process of its own, for tests that kill it. Its one argument is JSON; it says `ready` on stdout.
import { createBroker } from '@pipeline/broker';
import { createLogger, createMetrics } from '@pipeline/runtime';
import { openStore } from '@pipeline/store';
import { createMailbox } from '../src/index.ts';
import { toyBehaviour, toyEdges } from './toy.ts';

export interface ToyProcessOptions {
  amqpUrl: string;
  mongoUri: string;
  partitions: number;
  name: string;
  /** Dies there, as by `kill -9`, the n-th time. */
  dieAt?: { point: string; nth: number };
}

const options = JSON.parse(process.argv[2] ?? '{}') as ToyProcessOptions;
const logger = createLogger({ service: options.name, level: 'warn', destination: process.stderr });
const store = await openStore({ uri: options.mongoUri, logger });
const broker = await createBroker({ url: options.amqpUrl, name: options.name, logger });
let met = 0;
const mailbox = createMailbox({
  service: 'router',
  replica: options.name,
  partitions: options.partitions,
  prefetch: 200,
  broker,
  store,
  behaviour: toyBehaviour,
  edges: toyEdges(broker),
  logger,
  metrics: createMetrics('toy'),
  faultPoint(point) {
    if (point === options.dieAt?.point && ++met === options.dieAt.nth) process.kill(process.pid, 'SIGKILL');
  },
});
mailbox.start();
process.on('SIGTERM', async () => {
  await mailbox.stop();
  await broker.close();
  await store.close();
  process.exit(0);
});
while (mailbox.problem() !== null) await new Promise((resolve) => setTimeout(resolve, 10));
process.stdout.write('ready\n');
