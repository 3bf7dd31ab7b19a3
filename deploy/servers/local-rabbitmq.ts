// npm start, npm test ─▶ a RabbitMQ of our own: own data, node name, ports and epmd, on loopback only.
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { createPortPicker } from '../processes/free-port.ts';
import { type OwnedProcess, startProcess } from '../processes/owned-process.ts';
import { probeHttp, speaksAmqp } from '../processes/probe.ts';
import { openProcessLog } from '../processes/process-log.ts';
import * as progress from '../processes/progress.ts';
import { type CommandResult, type Run, runCommand, unstoppable } from '../processes/run-command.ts';
import type { StartError } from '../processes/start-error.ts';
import { supervise } from '../processes/supervise.ts';
import { findRabbitmqServer, installRabbitmq } from './install-rabbitmq.ts';

const READY_MS = 90_000;
const STOP_GRACE_MS = 15_000;
const USER = 'guest'; // RabbitMQ's own, which it admits from loopback only
// The name must be the same at each start: the data belongs to it.
const NODE = 'rabbit@localhost';
// The management API tells of consumers as often as it samples, by default each 5 s: tests wait for what it tells.
const EACH_SECOND = '{sample_retention_policies, [{global, [{60, 1}]}, {basic, [{60, 1}]}, {detailed, [{60, 1}]}]}';
const PLUGINS = ['rabbitmq_management', 'rabbitmq_prometheus', 'rabbitmq_consistent_hash_exchange'];

/**
 * Finds RabbitMQ, or installs it.
 * @returns its `rabbitmq-server`
 */
export async function provideRabbitmq(run: Run): Promise<string> {
  return findRabbitmqServer() ?? (await installRabbitmq(run));
}

export async function startRabbitmq({
  run,
  program,
  directory,
  logs,
  ports,
  isThrowaway,
  onFatal,
}: {
  run: Run;
  /** as `provideRabbitmq` gave it */
  program: string;
  /** for everything it writes */
  directory: string;
  logs: string;
  ports: ReturnType<typeof createPortPicker>;
  /** nobody needs its data afterwards */
  isThrowaway: boolean;
  onFatal: (error: StartError) => void;
}) {
  const since = performance.now();
  const amqp = await ports.pick('RabbitMQ', isThrowaway ? undefined : 5672);
  const management = await ports.pick('RabbitMQ management', isThrowaway ? undefined : 15_672);
  const { port: prometheusPort } = await ports.pick('RabbitMQ metrics');
  const { port: distributionPort } = await ports.pick('RabbitMQ distribution');
  const { port: epmdPort } = await ports.pick('epmd');
  if (amqp.isReplaced) progress.step('rabbitmq', `port 5672 is taken: AMQP is on ${amqp.port}`);
  if (management.isReplaced)
    progress.step('rabbitmq', `port 15672 is taken: the management UI is on ${management.port}`);

  const env = writeSettings(directory, isThrowaway, {
    amqp: amqp.port,
    management: management.port,
    prometheusPort,
    distributionPort,
    epmdPort,
  });
  const log = openProcessLog('rabbitmq', join(logs, 'rabbitmq.log'), { isShown: false });
  let epmd: OwnedProcess | undefined;
  const common = { kind: 'server' as const, records: run.records, env, cwd: directory };

  const managementUrl = `http://${USER}:${USER}@127.0.0.1:${management.port}`;
  const supervised = supervise({
    name: 'rabbitmq',
    async launch() {
      // Started by us, since the one that Erlang starts by itself would outlive everything.
      if (!epmd || epmd.hasExited()) {
        epmd = startProcess({
          ...common,
          name: 'epmd',
          command: findEpmd(program),
          args: ['-port', String(epmdPort), '-address', '127.0.0.1'],
        });
      }
      return startProcess({
        ...common,
        name: 'rabbitmq',
        command: program,
        args: [],
        stdio: ['ignore', log.fd, log.fd],
      });
    },
    async probe() {
      if (!(await speaksAmqp(amqp.port))) return { isReady: false, reason: 'AMQP port closed' };
      return probeHttp(`http://127.0.0.1:${management.port}/api/overview`, {
        authorization: `Basic ${Buffer.from(`${USER}:${USER}`).toString('base64')}`,
      });
    },
    stopGraceMs: isThrowaway ? 0 : STOP_GRACE_MS,
    startAttempts: 3,
    lastWords: log.lastWords,
    onFatal,
  });
  const stop = async () => {
    await supervised.stop();
    await epmd?.stop(1000);
    log.close();
  };
  return {
    url: `amqp://${USER}:${USER}@127.0.0.1:${amqp.port}`,
    managementUrl,
    async whenReady() {
      await supervised.whenReady({ timeoutMs: READY_MS, signal: run.signal });
      progress.step('rabbitmq', `ready on 127.0.0.1:${amqp.port} ${progress.took(since)}`);
    },
    /** Runs rabbitmqctl against it. */
    ctl: (...args: string[]): Promise<CommandResult> =>
      runCommand(unstoppable(), join(dirname(program), 'rabbitmqctl'), args, { env, cwd: directory }),
    stop,
  };
}

function writeSettings(directory: string, isThrowaway: boolean, ports: Record<string, number>): NodeJS.ProcessEnv {
  mkdirSync(directory, { recursive: true });
  const write = (name: string, text: string) => {
    writeFileSync(join(directory, name), text);
    return join(directory, name);
  };
  // One worker in the pool: see deploy/rabbitmq/advanced.config.
  // As Erlang terms, since translating a rabbitmq.conf costs almost 2 s at each start.
  const settings = `[
 {rabbit, [{tcp_listeners, [{"127.0.0.1", ${ports.amqp}}]}, {disk_free_limit, 50000000}, {default_worker_pool_size, 1}]},
 {rabbitmq_management, [{tcp_config, [{ip, "127.0.0.1"}, {port, ${ports.management}}]}${isThrowaway ? `, ${EACH_SECOND}` : ''}]},
 {rabbitmq_prometheus, [{tcp_config, [{ip, "127.0.0.1"}, {port, ${ports.prometheusPort}}]}]}
].
`;
  // Somebody's own RabbitMQ or Erlang settings must not reach this one.
  const inherited = Object.entries(process.env).filter(([name]) => !/^(RABBITMQ_|ERL_)/.test(name));
  return {
    ...Object.fromEntries(inherited),
    HOME: directory, // for Erlang's cookie
    ERL_EPMD_PORT: String(ports.epmdPort),
    ERL_EPMD_ADDRESS: '127.0.0.1',
    ERL_CRASH_DUMP_SECONDS: '0',
    RABBITMQ_NODENAME: NODE,
    RABBITMQ_DIST_PORT: String(ports.distributionPort),
    RABBITMQ_MNESIA_BASE: join(directory, 'data'),
    RABBITMQ_LOG_BASE: join(directory, 'log'),
    RABBITMQ_GENERATED_CONFIG_DIR: join(directory, 'generated'),
    RABBITMQ_CONF_ENV_FILE: write('rabbitmq-env.conf', ''),
    RABBITMQ_CONFIG_FILE: join(directory, 'none'),
    RABBITMQ_ADVANCED_CONFIG_FILE: write('advanced.config', settings),
    RABBITMQ_ENABLED_PLUGINS_FILE: write('enabled_plugins', `[${PLUGINS.join(',')}].\n`),
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: '-kernel inet_dist_use_interface {127,0,0,1}',
    RABBITMQ_CTL_ERL_ARGS: '-kernel inet_dist_use_interface {127,0,0,1}',
    // The script then becomes the Erlang VM instead of waiting for it, so that a signal or a kill meets the broker itself.
    RABBITMQ_ALLOW_INPUT: '1',
    RABBITMQ_SERVER_START_ARGS: '-noinput +B i',
  };
}

/** It comes with Erlang: on PATH, or in the runtime's own folder. */
function findEpmd(program: string) {
  const folders = (process.env.PATH ?? '')
    .split(':')
    .concat(dirname(program), '/usr/bin', '/usr/local/bin', '/opt/homebrew/bin');
  for (const erlang of ['/usr/lib/erlang', '/usr/local/lib/erlang', '/opt/homebrew/lib/erlang']) {
    if (!existsSync(erlang)) continue;
    folders.push(
      ...readdirSync(erlang)
        .filter((name) => name.startsWith('erts-'))
        .map((name) => join(erlang, name, 'bin')),
    );
  }
  return folders.map((folder) => join(folder, 'epmd')).find((file) => existsSync(file)) ?? 'epmd';
}
