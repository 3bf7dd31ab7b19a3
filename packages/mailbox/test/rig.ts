// Servers, toy replicas in this process, and a record of every effect that was published.
import { type Broker, createBroker } from '@pipeline/broker';
import { exchanges, mailboxQueues } from '@pipeline/contracts';
import { createLogger, createMetrics } from '@pipeline/runtime';
import { type ActorCollection, type ActorDocument, openStore, type Store } from '@pipeline/store';
import { eventually } from '../../../test/support/eventually.ts';
import type { OwnRabbitmq } from '../../../test/support/own-rabbitmq.ts';
import { createTestServersWithTopology, type TestServers } from '../../../test/support/servers.ts';
import { type Edges, Mailbox } from '../src/index.ts';
import { type ToyNumber, type ToyState, type ToyTypes, toyBehaviour, toyEdges } from './toy.ts';

export interface Replica {
  mailbox: Mailbox<ToyTypes>;
  store: Store;
  broker: Broker;
  /** A metric's value, as Prometheus would scrape it. */
  metric(name: string, labels?: Record<string, string>): Promise<number>;
  /** Drains and closes everything. */
  stop(): Promise<void>;
}

export interface ReplicaOptions {
  name?: string;
  mongoUri?: string;
  edges?: Partial<Edges<ToyTypes>>;
  faultPoint?: (point: string) => Promise<void> | void;
  maxActors?: number;
  stallLookMs?: number;
}

export interface Rig extends TestServers {
  partitions: number;
  store: Store;
  broker: Broker;
  states: ActorCollection<ToyState>;
  /** What was passed on for each user, in order of arrival, repeats included. */
  recorded: Map<string, string[]>;
  /** Begins to take effects from this queue. */
  record(queue: string): void;
  startReplica(options?: ReplicaOptions): Promise<Replica>;
  send(user: string, body: Partial<ToyNumber> & { n: number }, messageId?: string): Promise<void>;
  stateOf(user: string): Promise<ToyState | undefined>;
  statesOf(users: readonly string[]): Promise<Map<string, ActorDocument<ToyState>>>;
  /** Waits until a user's effects, repeats left out, are these. */
  passesOn(user: string, wanted: string[], withinMs?: number): Promise<void>;
  /** Waits until a user's effects, repeats left out, hold all of these, in whatever order. */
  passesOnAll(user: string, wanted: string[], withinMs?: number): Promise<void>;
  /** Messages that nobody has acked, once no replica runs any more. */
  leftInQueues(): Promise<string[]>;
}

const logger = createLogger({ service: 'toy', level: process.env.TEST_LOG_LEVEL ?? 'silent' });

/** @param options `isRecording: false` leaves the sender's queues alone until `record` is called */
export async function openRig(
  partitions = 2,
  { isRecording = true, rabbitmq }: { isRecording?: boolean; rabbitmq?: OwnRabbitmq } = {},
): Promise<Rig> {
  const servers = await createTestServersWithTopology(partitions, rabbitmq?.urls());
  const store = await openStore({ uri: servers.mongoUri, logger });
  const broker = await createBroker({ url: servers.amqpUrl, name: 'rig', logger });
  const recorded = new Map<string, string[]>();
  const replicas = new Set<Replica>();
  const record = (queue: string) => {
    broker.consume({
      queue,
      prefetch: 500,
      consumerTag: `recorder ${queue}`,
      onDelivery(delivery) {
        const { what } = JSON.parse(delivery.content.toString()) as { what: string };
        const list = recorded.get(delivery.routingKey) ?? [];
        recorded.set(delivery.routingKey, list);
        list.push(what);
        delivery.ack();
      },
    });
  };
  if (isRecording) mailboxQueues('sender', partitions).forEach(record);
  await eventually('the rig is connected', () => broker.problem() === null);
  const states = store.actors<ToyState>('conversations');

  const rig: Rig = {
    ...servers,
    partitions,
    store,
    broker,
    states,
    recorded,
    record,
    async startReplica({ name = 'toy', mongoUri = servers.mongoUri, edges, faultPoint, maxActors, stallLookMs } = {}) {
      const ownStore = await openStore({ uri: mongoUri, logger });
      const ownBroker = await createBroker({ url: servers.amqpUrl, name, logger });
      const metrics = createMetrics('toy');
      const mailbox = new Mailbox<ToyTypes>({
        service: 'router',
        replica: name,
        exchange: exchanges.routerMailboxes,
        queues: mailboxQueues('router', partitions),
        prefetch: 200,
        leaveToCallerMs: 5_000,
        broker: ownBroker,
        store: ownStore,
        collection: ownStore.actors<ToyState>('conversations'),
        behaviour: toyBehaviour,
        edges: toyEdges(ownBroker, edges),
        logger,
        metrics,
        ...(faultPoint ? { faultPoint } : {}),
        ...(maxActors ? { maxActors } : {}),
        ...(stallLookMs ? { stallLookMs } : {}),
      });
      // As the services do, which wait for the topology: else the first heartbeat would be left out.
      await eventually(`${name} is connected`, () => ownBroker.problem() === null, { everyMs: 5 });
      mailbox.start();
      const replica: Replica = {
        mailbox,
        store: ownStore,
        broker: ownBroker,
        async metric(name, wanted = {}) {
          const found = await metrics.registry.getSingleMetric(name)?.get();
          return (found?.values ?? [])
            .filter(({ labels }) => Object.entries(wanted).every(([label, value]) => labels[label] === value))
            .reduce((sum, { value }) => sum + value, 0);
        },
        async stop() {
          if (!replicas.delete(replica)) return;
          await mailbox.stop();
          await ownBroker.close();
          await ownStore.close();
        },
      };
      replicas.add(replica);
      await eventually(`${name} is subscribed`, () => mailbox.problem() === null);
      return replica;
    },
    send: (user, body, messageId = `${user}:${body.n}`) =>
      broker.publish(exchanges.routerMailboxes, user, {
        type: 'toy.number',
        messageId,
        correlationId: messageId,
        body,
      }),
    stateOf: async (user) => (await states.load(user))?.state,
    async statesOf(users) {
      const found = await Promise.all(users.map((user) => states.load(user)));
      return new Map(found.flatMap((document) => (document ? [[document._id, document]] : [])));
    },
    async passesOn(user, wanted, withinMs = 30_000) {
      let got: string[] = [];
      await eventually(
        `${user} passes on ${wanted.join(' ')}`,
        () => {
          got = [...new Set(recorded.get(user))];
          return got.length >= wanted.length;
        },
        { withinMs },
      ).catch((error: Error) => {
        throw new Error(`${error.message}; got ${got.join(' ')}`);
      });
      if (got.join(' ') !== wanted.join(' '))
        throw new Error(`${user} passed on ${got.join(' ')}, not ${wanted.join(' ')}`);
    },
    async passesOnAll(user, wanted, withinMs = 30_000) {
      await eventually(
        `${user} passes on everything`,
        () => {
          const got = new Set(rig.recorded.get(user));
          const missing = wanted.filter((what) => !got.has(what));
          if (missing.length > 0) throw new Error(`missing: ${missing.join(' ')}`);
          return true;
        },
        { withinMs },
      );
    },
    async leftInQueues() {
      const left: string[] = [];
      let ends = 0;
      const consumers = mailboxQueues('router', partitions).map((queue) =>
        broker.consume({
          queue,
          prefetch: 500,
          consumerTag: `leftovers ${queue}`,
          onDelivery({ type, messageId, ack }) {
            if (type === 'toy.end') ends++;
            else left.push(messageId);
            ack();
          },
        }),
      );
      // Behind an end in every partition nothing can stand that was there before.
      const spread = Array.from({ length: 40 * partitions }, (_, index) => `end-${index}`);
      const end = { type: 'toy.end', messageId: 'end', correlationId: 'end', body: {} };
      await Promise.all(spread.map((key) => broker.publish(exchanges.routerMailboxes, key, end)));
      await eventually('every end has come', () => ends >= spread.length);
      await Promise.all(consumers.map((consumer) => consumer.close()));
      return left;
    },
    async drop() {
      await Promise.all([...replicas].map((replica) => replica.stop()));
      await broker.close();
      await store.close();
      await servers.drop();
    },
  };
  return rig;
}

/** `wk1:<name>`: the users' keys as the real services have them. */
export const userNames = (count: number, prefix = 'user') =>
  Array.from({ length: count }, (_, index) => `wk1:${prefix}-${index}`);

export const oneTo = (count: number) => Array.from({ length: count }, (_, index) => index + 1);
