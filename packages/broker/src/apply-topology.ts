// The topology step: declares everything once, in order, reads it back, and only then declares the marker.
import { describeTopology, type Topology } from '@pipeline/contracts';
import { ConfigError, describeError, RetryableError, sleep } from '@pipeline/runtime';
import { type Channel, connect } from 'amqplib';
import { createManagementApi, type ManagementApi, vhostPath } from './management-api.ts';

const READ_BACK_ATTEMPTS = 20;
const READ_BACK_PAUSE_MS = 100;
const MAX_SHOWN_FAULTS = 5;

/**
 * Applies the topology for a number of partitions; repeating it changes nothing.
 * @throws ConfigError naming what exists with other properties; RetryableError while broker or management API are away
 */
export async function applyTopology(options: {
  amqpUrl: string;
  managementUrl: string;
  partitions: number;
}): Promise<void> {
  const topology = describeTopology(options.partitions);
  const api = createManagementApi(options.managementUrl);
  const vhost = vhostPath(options.amqpUrl);
  await refuseOtherPartitions(api, vhost, topology);
  // Policies before queues: no queue is ever without its length limit and dead lettering.
  for (const { name, pattern, definition } of topology.policies)
    await api.put(`/policies/${vhost}/${name}`, { pattern, definition, 'apply-to': 'queues', priority: 10 });
  await withChannel(options.amqpUrl, (channel) => declare(channel, topology));
  await readBack(api, vhost, topology);
  await withChannel(options.amqpUrl, async (channel) => {
    await channel.assertExchange(topology.marker, 'direct', { durable: true });
  });
}

async function declare(channel: Channel, topology: Topology): Promise<void> {
  for (const { name, type } of topology.exchanges) {
    try {
      await channel.assertExchange(name, type, { durable: true });
    } catch (error) {
      if (type === 'x-consistent-hash' && /invalid exchange type|unknown exchange type/i.test(describeError(error)))
        throw new ConfigError('RabbitMQ lacks the plugin rabbitmq_consistent_hash_exchange: enable it (it is bundled)');
      throw error;
    }
  }
  for (const queue of topology.queues)
    await channel.assertQueue(queue.name, { durable: true, arguments: queue.arguments });
  // One after the other: the ring of the hash exchange depends on this order.
  for (const { queue, exchange, routingKey } of topology.queueBindings)
    await channel.bindQueue(queue, exchange, routingKey);
}

async function withChannel(amqpUrl: string, run: (channel: Channel) => Promise<void>): Promise<void> {
  let connection: Awaited<ReturnType<typeof connect>>;
  try {
    connection = await connect(amqpUrl, { timeout: 5_000 });
  } catch (cause) {
    throw new RetryableError('broker-away', `RabbitMQ is unreachable: ${describeError(cause)}`);
  }
  try {
    connection.on('error', () => {}); // the failed operation's rejection says it
    const channel = await connection.createChannel();
    channel.on('error', () => {});
    await run(channel);
    await channel.close();
  } catch (error) {
    // 406: something of this name exists with other properties; the broker's text names it
    if ((error as { code?: unknown }).code === 406)
      throw new ConfigError(`the broker's topology differs: ${describeError(error)}`);
    throw error;
  } finally {
    await connection.close().catch(() => {}); // may be closed by the error above
  }
}

interface ListedPolicy {
  name: string;
  pattern: string;
  'apply-to': string;
  priority: number;
}
interface ListedQueue {
  name: string;
  arguments: Record<string, unknown>;
}
interface ListedBinding {
  destination: string;
  destination_type: string;
  routing_key: string;
}

async function refuseOtherPartitions(api: ManagementApi, vhost: string, topology: Topology): Promise<void> {
  const wanted = new Set(topology.queues.map((queue) => queue.name));
  const queues = await api.get<ListedQueue[]>(`/queues/${vhost}`);
  const mailboxes = queues.map(({ name }) => name).filter((name) => /^(router|sender)\.mailbox\.\d+$/.test(name));
  const beyond = mailboxes.find((name) => !wanted.has(name));
  if (beyond)
    throw new ConfigError(
      `PARTITIONS: the broker has mailboxes beyond it (${beyond} …): the number is fixed once deployed`,
    );
  // Fewer than wanted: this step has broken off half-way, unless its last act is done.
  const listed = await api.get<{ name: string }[]>(`/exchanges/${vhost}`);
  const lacking = topology.queues.find(({ name }) => name.includes('.mailbox.') && !mailboxes.includes(name));
  if (lacking && mailboxes.length > 0 && listed.some(({ name }) => name === topology.marker))
    throw new ConfigError(
      `PARTITIONS: the broker was set up without ${lacking.name}: the number is fixed once deployed, and a mailbox that was deleted can't be put back between the others`,
    );
}

/** Reads back what matters most and is easiest to get wrong; the API may lag a moment behind. */
async function readBack(api: ManagementApi, vhost: string, topology: Topology): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    const faults = await findFaults(api, vhost, topology);
    if (faults.length === 0) return;
    if (attempt === READ_BACK_ATTEMPTS) {
      const shown = faults.slice(0, MAX_SHOWN_FAULTS).join('; ');
      const more = faults.length > MAX_SHOWN_FAULTS ? `; and ${faults.length - MAX_SHOWN_FAULTS} more` : '';
      throw new ConfigError(`the broker's topology differs: ${shown}${more}`);
    }
    await sleep(READ_BACK_PAUSE_MS);
  }
}

async function findFaults(api: ManagementApi, vhost: string, topology: Topology): Promise<string[]> {
  const faults: string[] = [];
  const queues = new Map((await api.get<ListedQueue[]>(`/queues/${vhost}`)).map((queue) => [queue.name, queue]));
  const policies = await api.get<ListedPolicy[]>(`/policies/${vhost}`);
  for (const { name, arguments: wanted } of topology.queues) {
    const found = queues.get(name);
    if (!found) faults.push(`queue ${name} is missing`);
    else {
      for (const [key, value] of Object.entries(wanted))
        if (found.arguments[key] !== value) faults.push(`queue ${name} has ${key} ${String(found.arguments[key])}`);
      const policy = topology.policies.find(({ pattern }) => new RegExp(pattern).test(name));
      const effective = policyFor(name, policies);
      if (effective !== policy?.name) faults.push(`queue ${name} has policy ${effective ?? 'none'}`);
    }
  }
  for (const { name, type } of topology.exchanges.filter((exchange) => exchange.type === 'x-consistent-hash')) {
    const listed = await api.get<ListedBinding[]>(`/exchanges/${vhost}/${encodeURIComponent(name)}/bindings/source`);
    const wanted = topology.queueBindings.filter(({ exchange }) => exchange === name);
    for (const { queue, routingKey } of wanted) {
      const keys = listed.filter(({ destination }) => destination === queue).map((binding) => binding.routing_key);
      if (keys.length !== 1 || keys[0] !== routingKey)
        faults.push(
          `${type} exchange ${name}: queue ${queue} is bound by [${keys.join(', ')}] instead of ${routingKey}`,
        );
    }
    const others = listed.filter(({ destination }) => !wanted.some(({ queue }) => queue === destination));
    for (const { destination } of others)
      faults.push(`${type} exchange ${name}: foreign queue ${destination} is bound`);
  }
  return faults;
}

/** Only one policy applies to a queue: the matching one of highest priority. (The queue's own `policy` field lags by 5 s.) */
function policyFor(queue: string, policies: readonly ListedPolicy[]): string | undefined {
  return policies
    .filter((policy) => /^(all|queues|quorum_queues)$/.test(policy['apply-to']) && matches(policy.pattern, queue))
    .sort((a, b) => b.priority - a.priority)[0]?.name;
}

/** Others' patterns may use what Erlang knows and JavaScript doesn't: these are taken for not matching. */
function matches(pattern: string, queue: string): boolean {
  try {
    return new RegExp(pattern).test(queue);
  } catch {
    return false;
  }
}
