// SIGTERM while RabbitMQ, MongoDB and WeCom accept everything and answer nothing: every service ends in time all the same.
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { startWecomSimulator, type WecomSimulator } from '../simulators/wecom/start-wecom-simulator.ts';
import { freePorts } from '../support/pipeline.ts';
import { createTestServersWithTopology, type TestServers } from '../support/servers.ts';
import { serviceEnvironment } from '../support/service-environment.ts';
import { type ServiceName, type ServiceProcess, serviceProcess } from '../support/service-process.ts';
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.ts';

const NAMES: ServiceName[] = ['ingest', 'binder', 'router', 'sender'];
const PARTITIONS = 4;

let servers: TestServers;
let wecom: WecomSimulator;
let proxies: TcpProxy[] = [];
let services: ServiceProcess[] = [];

beforeAll(async () => {
  servers = await createTestServersWithTopology(PARTITIONS);
  wecom = await startWecomSimulator();
  const targets = [servers.amqpUrl, servers.mongoUri, wecom.url];
  proxies = await Promise.all(targets.map((target) => startTcpProxy(target)));
  const [amqpUrl = '', mongoUri = '', wecomUrl = ''] = targets.map((target, index) => proxies[index]?.through(target));
  const ports = await freePorts(NAMES.length);
  const environment = {
    ...serviceEnvironment({
      servers: { amqpUrl, mongoUri },
      wecom: { ...wecom, url: wecomUrl },
      partitions: PARTITIONS,
    }),
    POLL_INTERVAL_ACTIVE_MS: '50',
    POLL_INTERVAL_IDLE_MS: '50',
  };
  services = NAMES.map((name, index) => serviceProcess(name, ports[index] ?? 0, environment));
  await Promise.all(services.map((service) => service.start()));
  await Promise.all(services.map((service) => service.ready()));
}, 120_000);
afterAll(async () => {
  await Promise.all(services.map((service) => service.stop('SIGKILL')));
  await Promise.all(proxies.map((proxy) => proxy.close()));
  await wecom?.close();
  await servers?.drop();
}, 60_000);

test('each service exits 0 within 10 s of SIGTERM', async () => {
  for (const proxy of proxies) proxy.pause();
  const stoppingAt = performance.now();
  const ended = await Promise.all(
    services.map(async (service) => {
      const code = await service.stop();
      return { name: service.name, code, tookMs: performance.now() - stoppingAt };
    }),
  );
  expect(ended.map(({ name, code }) => [name, code])).toEqual(NAMES.map((name) => [name, 0]));
  for (const { tookMs } of ended) expect(tookMs).toBeLessThan(10_000);
});
