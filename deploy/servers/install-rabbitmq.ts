// npm start, npm test ─▶ rabbitmq-server: where it is, or from apt where that needs no question.
import { existsSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as progress from '../processes/progress.ts';
import type { Run } from '../processes/run-command.ts';
import { StartError } from '../processes/start-error.ts';
import { aptInstall } from './apt.ts';

const PACKAGED = '/usr/lib/rabbitmq/bin/rabbitmq-server';
const POLICY = '/usr/sbin/policy-rc.d';
const POLICY_MARK = '# written by npm start of wecom-agent-router while it installs RabbitMQ';

/** @param home where RabbitMQ was unpacked */
export const serverIn = (home: string) => join(home, 'sbin', 'rabbitmq-server');

/** That of RABBITMQ_HOME if it is set, else the one that is installed. */
export function findRabbitmqServer(): string | undefined {
  const { RABBITMQ_HOME: home } = process.env;
  if (home) {
    if (existsSync(serverIn(home))) return serverIn(home);
    throw new StartError('rabbitmq', `RABBITMQ_HOME=${home} has no sbin/rabbitmq-server`);
  }
  return findInstalledServer();
}

export function findInstalledServer(): string | undefined {
  const onPath = (process.env.PATH ?? '')
    .split(':')
    .concat('/usr/local/sbin', '/opt/homebrew/sbin')
    .map((folder) => join(folder, 'rabbitmq-server'));
  return [PACKAGED, ...onPath]
    .filter((file) => existsSync(file))
    .find(
      // Packages put a wrapper on PATH that switches to the user `rabbitmq`; ours runs as whoever starts it.
      (file) => !realpathSync(file).endsWith('rabbitmq-script-wrapper'),
    );
}

export async function installRabbitmq(run: Run) {
  const since = performance.now();
  const allow = forbidServices();
  try {
    await aptInstall(run, 'rabbitmq', ['rabbitmq-server']);
  } finally {
    allow();
  }
  const program = findInstalledServer();
  if (!program) throw new StartError('rabbitmq', 'apt-get installed rabbitmq-server, but it is not there');
  progress.step('rabbitmq', `installed ${progress.took(since)}`);
  return program;
}

/** The package would start RabbitMQ as a system service; a policy of Debian's keeps it from that. */
function forbidServices() {
  const isOurs = existsSync(POLICY) && readFileSync(POLICY, 'utf8').includes(POLICY_MARK); // left by a killed run
  if (existsSync(POLICY) && !isOurs) return () => {}; // the machine has its own policy
  if (process.getuid?.() !== 0) return () => {};
  writeFileSync(POLICY, `#!/bin/sh\n${POLICY_MARK}\nexit 101\n`, { mode: 0o755 });
  return () => rmSync(POLICY, { force: true });
}
