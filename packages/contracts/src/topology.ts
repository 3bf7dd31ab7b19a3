// What exists on the broker, as data: applied once by the topology step, only checked by the services.

/** Exchanges that services publish to. */
export const exchanges = {
  routerMailboxes: 'router.mailboxes',
  senderMailboxes: 'sender.mailboxes',
  binder: 'binder',
  deadLetters: 'dead-letters',
  /** Every replica of ingest has a queue of its own here, while it is connected. */
  ingestRings: 'ingest.rings',
} as const;

export const BINDER_QUEUE = 'binder.matches';

/** Declared last by the topology step: a service that sees it knows that everything else is there. */
export const TOPOLOGY_MARKER = 'topology.v1';

/** Services whose queues the broker may dead-letter from. */
export const deadLetterServices = ['binder', 'router', 'sender'] as const;

/** Where the broker puts what it gives up; drained into MongoDB. */
export const deadQueue = (service: (typeof deadLetterServices)[number]) => `${service}.dead`;

export type MailboxService = 'router' | 'sender';

/** `router.mailbox.00` …: zero-padded, so that sorted order is numeric order. */
export function mailboxQueue(service: MailboxService, partition: number): string {
  return `${service}.mailbox.${String(partition).padStart(2, '0')}`;
}

export function mailboxQueues(service: MailboxService, partitions: number): string[] {
  return Array.from({ length: partitions }, (_, partition) => mailboxQueue(service, partition));
}

export interface Exchange {
  name: string;
  type: 'direct' | 'fanout' | 'x-consistent-hash';
}
export interface Queue {
  name: string;
  arguments: Record<string, string | boolean>;
}
export interface QueueBinding {
  exchange: string;
  queue: string;
  routingKey: string;
}
export interface Policy {
  name: string;
  pattern: string;
  definition: Record<string, string | number>;
}
export interface Topology {
  exchanges: Exchange[];
  queues: Queue[];
  /**
   * In the order in which they must be made. The ring of an x-consistent-hash exchange is rebuilt in sorted order when
   * the broker restarts, so any other order here would move most users to other queues (63 % measured).
   */
  queueBindings: QueueBinding[];
  policies: Policy[];
  marker: string;
}

/** The weight of every partition in the hash ring; never anything else (re-weighting empties a queue). */
const RING_WEIGHT = '1';

/**
 * The whole topology for a number of partitions. That number is fixed once deployed: with another one users move to
 * other queues while their messages still wait in the old ones.
 */
export function describeTopology(partitions: number): Topology {
  const mailboxes = (['router', 'sender'] as const).flatMap((service) =>
    mailboxQueues(service, partitions).map((queue) => ({ exchange: `${service}.mailboxes`, queue })),
  );
  const singleActive = { 'x-queue-type': 'quorum', 'x-single-active-consumer': true };
  return {
    exchanges: [
      { name: exchanges.deadLetters, type: 'direct' },
      { name: exchanges.binder, type: 'direct' },
      { name: exchanges.ingestRings, type: 'fanout' },
      { name: exchanges.routerMailboxes, type: 'x-consistent-hash' },
      { name: exchanges.senderMailboxes, type: 'x-consistent-hash' },
    ],
    queues: [
      ...deadLetterServices.map((service) => ({ name: deadQueue(service), arguments: { 'x-queue-type': 'quorum' } })),
      { name: BINDER_QUEUE, arguments: singleActive },
      ...mailboxes.map(({ queue }) => ({ name: queue, arguments: singleActive })),
    ],
    queueBindings: [
      ...deadLetterServices.map((service) => ({
        exchange: exchanges.deadLetters,
        queue: deadQueue(service),
        routingKey: deadQueue(service),
      })),
      { exchange: exchanges.binder, queue: BINDER_QUEUE, routingKey: BINDER_QUEUE },
      ...mailboxes.map(({ exchange, queue }) => ({ exchange, queue, routingKey: RING_WEIGHT })),
    ],
    policies: [
      servicePolicy('binder', '^binder\\.matches$'),
      servicePolicy('router', '^router\\.mailbox\\.\\d\\d$'),
      servicePolicy('sender', '^sender\\.mailbox\\.\\d\\d$'),
      // Else RabbitMQ 4 would drop a dead letter at its 21st delivery. 3.10 knows no "unlimited".
      {
        name: 'dead-letters',
        pattern: `^(${deadLetterServices.join('|')})\\.dead$`,
        definition: { 'delivery-limit': 1_000_000_000 },
      },
    ],
    marker: TOPOLOGY_MARKER,
  };
}

function servicePolicy(service: string, pattern: string): Policy {
  return {
    name: `${service}-mailboxes`,
    pattern,
    definition: {
      // Every clean close of a channel with messages in flight counts as a delivery; real poison is ours to find.
      'delivery-limit': 1000,
      'dead-letter-exchange': exchanges.deadLetters,
      'dead-letter-routing-key': `${service}.dead`,
      // at-least-once works only together with reject-publish; otherwise the broker silently falls back to at-most-once.
      'dead-letter-strategy': 'at-least-once',
      overflow: 'reject-publish',
      'max-length': 50_000,
    },
  };
}
