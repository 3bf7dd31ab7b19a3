// Services may be started before anything they need: they wait, say what for, and stop for a topology that differs.
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { applyTopology } from '@pipeline/broker';
import { EXIT_CONFIG } from '@pipeline/runtime';
import { startWecomSimulator, type WecomSimulator } from '../simulators/wecom/start-wecom-simulator.ts';
import { eventually } from '../support/eventually.ts';
import { freePorts } from '../support/pipeline.ts';
import { createTestServers, type TestServers } from '../support/servers.ts';
import { serviceEnvironment } from '../support/service-environment.ts';
import { type ServiceName, type ServiceProcess, serviceProcess } from '../support/service-process.ts';
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.ts';

const NAMES: ServiceName[] = ['ingest', 'binder', 'router', 'sender'];
const PARTITIONS = 2;

let servers: TestServers;
let wecom: WecomSimulator;
let toRabbitmq: TcpProxy;
let toMongodb: TcpProxy;
let services: ServiceProcess[];

beforeAll(async () => {
  servers = await createTestServers();
  wecom = await startWecomSimulator();
  toRabbitmq = await startTcpProxy(servers.amqpUrl);
  toMongodb = await startTcpProxy(servers.mongoUri);
  await Promise.all([toRabbitmq.refuse(), toMongodb.refuse()]);
  const ports = await freePorts(NAMES.length);
  const proxied = { amqpUrl: toRabbitmq.through(servers.amqpUrl), mongoUri: toMongodb.through(servers.mongoUri) };
  const environment = serviceEnvironment({ servers: proxied, wecom, partitions: PARTITIONS });
  services = NAMES.map((name, index) => serviceProcess(name, ports[index] ?? 0, environment));
});
afterAll(async () => {
  await Promise.all((services ?? []).map((service) => service.stop()));
  await Promise.all([toRabbitmq?.close(), toMongodb?.close(), wecom?.close()]);
  await servers?.drop();
});

/** Every service says in /readyz that it waits for this. */
const allWaitFor = (what: RegExp) =>
  Promise.all(
    services.map((service) =>
      eventually(`${service.name} waits for ${what}`, async () => {
        const response = await fetch(`${service.url}/readyz`);
        return response.status === 503 && what.test(await response.text());
      }),
    ),
  );

test('started before database, broker and topology, services wait and say what for', async () => {
  await Promise.all(services.map((service) => service.start()));
  await allWaitFor(/MongoDB/);
  await toMongodb.accept();
  await allWaitFor(/RabbitMQ/);
  await toRabbitmq.accept();
  await allWaitFor(/topology step has not run/);
  await applyTopology({ ...servers, partitions: PARTITIONS });
  await Promise.all(services.map((service) => service.ready()));
  expect(services.map((service) => service.isRunning())).toEqual(NAMES.map(() => true));
});

test('a topology that differs is named and fatal', async () => {
  await Promise.all(services.map((service) => service.stop()));
  await Promise.all(services.map((service) => service.start({ PARTITIONS: String(PARTITIONS + 1) })));
  // The binder has no partitions: nothing differs for it.
  for (const service of services.filter(({ name }) => name !== 'binder' && name !== 'ingest')) {
    await eventually(`${service.name} ends`, () => !service.isRunning());
    expect([service.name, await service.stop()]).toEqual([service.name, EXIT_CONFIG]);
    const last = service.logs().join('\n');
    expect(last).toContain(`queue ${service.name}.mailbox.0${PARTITIONS}`);
  }
});
