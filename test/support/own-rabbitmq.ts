// A RabbitMQ of a test's own, to be restarted: a local server, or a container where none is installed.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createPortPicker } from '../../deploy/processes/free-port.ts';
import { IMAGES } from '../../deploy/servers/docker-engine.ts';
import { findRabbitmqServer } from '../../deploy/servers/install-rabbitmq.ts';
import { startRabbitmq } from '../../deploy/servers/local-rabbitmq.ts';
import { rabbitmqContainer, rabbitmqUrls } from './rabbitmq-container.ts';

export interface OwnRabbitmq {
  /** Other ones after each restart. */
  urls(): { amqpUrl: string; managementUrl: string };
  /** Stops it and starts it on the same data. */
  restart(): Promise<void>;
  /** Runs rabbitmqctl. @throws Error when that fails */
  ctl(...args: string[]): Promise<void>;
  stop(): Promise<void>;
}

export async function startOwnRabbitmq(): Promise<OwnRabbitmq> {
  const program = process.env.RABBITMQ_IMAGE ? undefined : findRabbitmqServer();
  return program ? startLocal(program) : startContainer();
}

async function startLocal(program: string): Promise<OwnRabbitmq> {
  const directory = mkdtempSync(join(tmpdir(), 'own-rabbitmq-'));
  const picker = createPortPicker();
  const start = async () => {
    const server = await startRabbitmq({
      run: { records: { add: () => {}, remove: () => {} }, signal: new AbortController().signal },
      program,
      directory,
      logs: directory,
      // Any free port: the usual ones may be somebody else's.
      ports: { ...picker, pick: (owner) => picker.pick(owner) },
      isThrowaway: false,
      onFatal: (error) => {
        throw error;
      },
    });
    await server.whenReady();
    return server;
  };
  let server = await start();
  return {
    urls: () => ({ amqpUrl: server.url, managementUrl: server.managementUrl }),
    async restart() {
      await server.stop();
      server = await start();
    },
    async ctl(...args) {
      const { code, stderr } = await server.ctl(...args);
      if (code !== 0) throw new Error(`rabbitmqctl ${args[0]}: ${stderr}`);
    },
    async stop() {
      await server.stop();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

async function startContainer(): Promise<OwnRabbitmq> {
  const container = await rabbitmqContainer(IMAGES[0] ?? '').start();
  return {
    urls: () => rabbitmqUrls(container),
    restart: () => container.restart(),
    async ctl(...args) {
      const { exitCode, stderr } = await container.exec(['rabbitmqctl', ...args]);
      if (exitCode !== 0) throw new Error(`rabbitmqctl ${args[0]}: ${stderr}`);
    },
    stop: async () => void (await container.stop()),
  };
}
