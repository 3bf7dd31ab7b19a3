// Soak ─▶ does what the schedule says, and notes when each fault began and ended.
import { createManagementApi, vhostPath } from '@pipeline/broker';
import { describeTopology } from '@pipeline/contracts';
import type { Machine } from './machine.ts';
import type { OwnServers } from './owned.ts';
import type { Fault } from './schedule.ts';

const RETURN_POLL_MS = 50;
const WATERMARK = '0.4';

/** A fault that happened; times in epoch ms of this machine. */
export interface Happened {
  kind: Fault['kind'];
  /** A replica, a server, a hop, … */
  target: string;
  how: string;
  from: number;
  /** When it was over: the process ready again, the network whole. */
  to: number;
}

export interface Injector {
  happened: Happened[];
  begin(faults: readonly Fault[]): void;
  /** No new faults; resolves when those under way are over. */
  end(): Promise<void>;
}

export function createInjector(machine: Machine, servers: OwnServers | null): Injector {
  const happened: Happened[] = [];
  const frozen = new Set<string>();
  const underWay = new Set<Promise<void>>();
  let timers: NodeJS.Timeout[] = [];
  const now = () => performance.timeOrigin + performance.now();
  const wait = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
  const until = async (condition: () => boolean | Promise<boolean>) => {
    while (!(await condition())) await wait(RETURN_POLL_MS);
  };
  const replica = (label: string) => machine.replicas.find((found) => found.label === label)?.service;
  const hop = (name: string) => machine.hops.find((found) => found.name === name)?.proxy;

  /** @returns what undoes it, or undefined when it could not be done */
  const start = async (fault: Fault): Promise<(() => Promise<void>) | undefined> => {
    switch (fault.kind) {
      case 'kill': {
        const service = replica(fault.target);
        // A frozen replica is to wake up after its partitions have moved.
        if (!service || frozen.has(fault.target)) return undefined;
        const pid = service.pid();
        if (!service.signal('SIGKILL')) return undefined;
        return () => until(() => service.pid() !== undefined && service.pid() !== pid && service.isReady());
      }
      case 'kill-server':
        if (!servers?.kill(fault.target)) return undefined;
        await until(async () => !(await servers.isUp(fault.target)));
        return () => until(() => servers.isUp(fault.target));
      case 'freeze': {
        const service = replica(fault.target);
        if (!service?.signal('SIGSTOP')) return undefined;
        frozen.add(fault.target);
        return async () => {
          await wait(fault.forMs);
          service.signal('SIGCONT');
          frozen.delete(fault.target);
        };
      }
      case 'step-clock':
        return replica(fault.target)?.signal('SIGUSR2') ? async () => {} : undefined;
      case 'network': {
        const proxy = hop(fault.target);
        if (!proxy) return undefined;
        if (fault.how === 'cut' || fault.how === 'refused') proxy.cut();
        if (fault.how === 'cut') return async () => {};
        if (fault.how === 'refused') await proxy.refuse();
        else if (fault.how === 'silent') proxy.pause();
        else proxy.pause(fault.how === 'silent up' ? 'up' : 'down');
        return async () => {
          await wait(fault.forMs);
          if (fault.how === 'refused') await proxy.accept();
          else proxy.resume();
        };
      }
      case 'memory-alarm':
        if (!servers) return undefined;
        await servers.rabbitmqctl('set_vm_memory_high_watermark', '0.00001');
        return async () => {
          await wait(fault.forMs);
          await again(() => servers.rabbitmqctl('set_vm_memory_high_watermark', WATERMARK));
        };
      case 'full-queues':
        await limitQueues(fault.target, 1);
        return async () => {
          await wait(fault.forMs);
          await again(() => limitQueues(fault.target, null));
        };
      case 'revoke-tokens':
        machine.wecom.control.revokeTokens();
        return async () => {};
      case 'rate-limit': {
        // The sender then rests for a minute.
        machine.wecom.control.addFault({ api: 'send_msg', count: 1, action: { kind: 'errcode', errcode: 45009 } });
        return () => wait(62_000);
      }
    }
  };

  /** @param length null: as the topology has it */
  const limitQueues = async (service: string, length: number | null) => {
    const policy = describeTopology(machine.partitions).policies.find(({ name }) => name.startsWith(service));
    if (!policy) throw new Error(`no policy for ${service}`);
    const { name, pattern, definition } = policy;
    const limited = length === null ? definition : { ...definition, 'max-length': length };
    const path = `/policies/${vhostPath(machine.amqpUrl)}/${name}`;
    await createManagementApi(machine.managementUrl).put(path, {
      pattern,
      definition: limited,
      'apply-to': 'queues',
      priority: 10,
    });
  };

  /** What must be undone is, however often the broker is away. */
  const again = async (undo: () => Promise<void>) => {
    for (;;) {
      try {
        return await undo();
      } catch {
        await wait(500);
      }
    }
  };

  const inject = async (fault: Fault) => {
    const from = now();
    // A broker that is away just now can't be tampered with: then this one is left out.
    const undo = await start(fault).catch(() => undefined);
    if (!undo) return;
    const how = 'how' in fault ? fault.how : '';
    const target = 'target' in fault ? fault.target : '';
    const record: Happened = { kind: fault.kind, target, how, from, to: Number.POSITIVE_INFINITY };
    happened.push(record);
    await undo();
    record.to = now();
  };

  return {
    happened,
    begin(faults) {
      timers = faults.map((fault) =>
        setTimeout(() => {
          const done: Promise<void> = inject(fault).finally(() => underWay.delete(done));
          underWay.add(done);
        }, fault.atMs),
      );
    },
    async end() {
      timers.forEach(clearTimeout);
      await Promise.all(underWay);
    },
  };
}
