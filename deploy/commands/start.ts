// npm start: everything, from a fresh clone to a running system; `-- --once` plays the demo and ends.
import { join } from 'node:path';
import { createPortPicker } from '../processes/free-port.ts';
import { local } from '../processes/paths.ts';
import * as progress from '../processes/progress.ts';
import { runSession, type Session } from '../processes/session.ts';
import { besideReal, openDemoSpace } from '../servers/demo-space.ts';
import { endLeftContainers, startInCompose } from '../servers/docker-compose.ts';
import { startInfrastructure } from '../servers/infrastructure.ts';
import { recordServers } from '../servers/running-servers.ts';
import { readGeneratedValues } from './generated-values.ts';
import { applyTopology, checkSettings, playDemo, startTypeScript } from './start-services.ts';
import { reachableHost, readStartMode, type StartMode, serviceEnvironment } from './start-settings.ts';

const SERVICES = ['ingest', 'binder', 'router', 'sender'] as const;
const SIMULATORS = ['wecom', 'bridge'] as const;
const isOnce = process.argv.includes('--once');

await runSession(
  { recordsDirectory: join(local, 'run'), codeOnSignal: isOnce ? 130 : 0, soleRunner: 'npm start' },
  async (session) => {
    const mode = readStartMode(process.argv.slice(2), process.env);
    progress.step(
      'start',
      mode.isDemo ? 'demo mode: a WeCom simulator and a demo bridge' : 'serving the WeCom account of IT0_WECOM_*',
    );
    await endLeftContainers();
    const picker = createPortPicker({ bindAddress: process.env.BIND_ADDRESS || '127.0.0.1' });
    const ports = await pickPorts(picker, mode.isDemo);
    const settings = serviceEnvironment({ env: process.env, mode, generated: readGeneratedValues(), ports });
    checkSettings(settings);

    const infrastructure = await startInfrastructure({
      run: session,
      env: process.env,
      directory: local,
      logs: join(local, 'logs'),
      ports: picker,
      isThrowaway: false,
      onFatal: session.fatal,
      startInDocker: startInCompose,
    });
    session.onStop(infrastructure.stop);
    const { rabbitmqUrl, managementUrl, mongodbUri } = mode.isDemo
      ? besideReal(infrastructure, mode.isOnce)
      : infrastructure;
    const servers = { RABBITMQ_URL: rabbitmqUrl, RABBITMQ_MANAGEMENT_URL: managementUrl, MONGODB_URI: mongodbUri };
    session.onStop(recordServers(servers));
    const env = { ...settings, ...servers };
    if (mode.isDemo) {
      const remove = await openDemoSpace({ rabbitmqUrl, managementUrl, mongodbUri }, mode.isOnce);
      if (mode.isOnce) session.onStop(remove);
    }
    await applyTopology(session, env);
    await startAll(session, mode, env, ports);

    const isAsExpected = !mode.isDemo || (await playDemo(session, env));
    if (mode.isOnce) return isAsExpected ? 0 : 1;
    printAddresses(env, mode.isDemo);
    await session.untilStopped();
    return 0;
  },
);

async function pickPorts(picker: ReturnType<typeof createPortPicker>, isDemo: boolean) {
  const pick = async (variable: string, preferred: number) => {
    const { port, isReplaced } = await picker.pickSet(variable, preferred, process.env);
    if (isReplaced) progress.step('ports', `${preferred} is taken: ${variable}=${port}`);
    return port;
  };
  return {
    ingest: await pick('INGEST_PORT', 3101),
    binder: await pick('BINDER_PORT', 3102),
    router: await pick('ROUTER_PORT', 3103),
    sender: await pick('SENDER_PORT', 3104),
    wecomSimulator: isDemo ? await pick('WECOM_SIMULATOR_PORT', 3111) : 0,
    bridgeSimulator: isDemo ? await pick('BRIDGE_SIMULATOR_PORT', 3112) : 0,
  };
}

async function startAll(
  session: Session,
  mode: StartMode,
  env: NodeJS.ProcessEnv,
  ports: Awaited<ReturnType<typeof pickPorts>>,
) {
  const simulators = !mode.isDemo
    ? []
    : SIMULATORS.map((name) =>
        startTypeScript(session, {
          name: `${name}-simulator`,
          kind: 'simulator',
          main: `test/simulators/${name}/main.ts`,
          port: ports[`${name}Simulator`],
          probePath: '/healthz',
          env,
        }),
      );
  session.onStop(() => Promise.all(simulators.map((simulator) => simulator.stop())));
  const services = SERVICES.map((name) =>
    startTypeScript(session, {
      name,
      kind: 'service',
      main: `services/${name}/src/main.ts`,
      port: ports[name],
      probePath: '/readyz',
      env,
    }),
  );
  session.onStop(() => Promise.all(services.map((service) => service.stop())));
  const isTolerable = mode.isDemo ? undefined : isOnlyWecom;
  await Promise.all([...simulators, ...services].map((part) => part.whenReady(isTolerable)));
}

function printAddresses(env: NodeJS.ProcessEnv, isDemo: boolean) {
  const at = (port: string | undefined) => `http://${reachableHost(env)}:${port}`;
  const management = new URL(String(env.RABBITMQ_MANAGEMENT_URL));
  const user = management.username && ` (user ${management.username})`;
  management.username = management.password = '';
  const vhost = decodeURIComponent(new URL(String(env.RABBITMQ_URL)).pathname.slice(1));
  const tokenNote = process.env.ADMIN_API_TOKEN ? 'that of ADMIN_API_TOKEN' : env.ADMIN_API_TOKEN;
  const metrics = ['INGEST', 'BINDER', 'ROUTER', 'SENDER'].map((name) => `${at(env[`${name}_PORT`])}/metrics`);
  progress.line();
  if (isDemo) progress.line(`  chat page      ${env.WECOM_SIMULATOR_URL}/`);
  progress.line(`  RabbitMQ       ${management.href}${user}${vhost && `, vhost ${vhost}`}`);
  progress.line(`  API            ${at(env.BINDER_PORT)}/api/v1/agent   Authorization: Bearer ${tokenNote}`);
  progress.line(`  callbacks      ${env.AGENT_SERVICE_PUBLIC_URL}`);
  progress.line(`  metrics        ${metrics.join('  ')}`);
  progress.line('  logs           .local/logs');
  progress.line();
  progress.step('start', 'up; Ctrl-C stops everything');
}

/**
 * With a real account the rest must run even while WeCom refuses the credentials or can't be reached; the reason says
 * what to mend. A reason is `check: problem; check: problem`.
 */
function isOnlyWecom(reason: string) {
  return (
    /(^|; )(wecom|poll [^:;]+): /.test(reason) &&
    !/(^|; )(service|store|broker|consumer|mailbox|topology): /.test(reason)
  );
}
