// npm start: everything, from a fresh clone to a running system; `-- --once` plays the demo and ends.
import { join } from 'node:path';
import { besideReal, openDemoSpace } from './demo-space.mjs';
import { endLeftContainers, startInCompose } from './docker-compose.mjs';
import { createPortPicker } from './free-port.mjs';
import { readGeneratedValues } from './generated-values.mjs';
import { startInfrastructure } from './infrastructure.mjs';
import { installDependencies } from './install-dependencies.mjs';
import { local } from './paths.mjs';
import * as progress from './progress.mjs';
import { recordServers } from './running-servers.mjs';
import { runSession } from './session.mjs';
import { applyTopology, checkSettings, playDemo, startTypeScript } from './start-services.mjs';
import { reachableHost, readStartMode, serviceEnvironment } from './start-settings.mjs';

const SERVICES = /** @type {const} */ (['ingest', 'binder', 'router', 'sender']);
const SIMULATORS = /** @type {const} */ (['wecom', 'bridge']);
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
    await installDependencies(session);
    const settings = serviceEnvironment({ env: process.env, mode, generated: readGeneratedValues(), ports });
    await checkSettings(session, settings);

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
      const remove = await openDemoSpace(session, env, mode.isOnce);
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

/** @param {ReturnType<typeof createPortPicker>} picker @param {boolean} isDemo */
async function pickPorts(picker, isDemo) {
  const pick = async (/** @type {string} */ variable, /** @type {number} */ preferred) => {
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

/**
 * @param {import('./session.mjs').Session} session @param {import('./start-settings.mjs').StartMode} mode
 * @param {NodeJS.ProcessEnv} env @param {Awaited<ReturnType<typeof pickPorts>>} ports
 */
async function startAll(session, mode, env, ports) {
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

/** @param {NodeJS.ProcessEnv} env @param {boolean} isDemo */
function printAddresses(env, isDemo) {
  const at = (/** @type {string | undefined} */ port) => `http://${reachableHost(env)}:${port}`;
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
function isOnlyWecom(/** @type {string} */ reason) {
  return (
    /(^|; )(wecom|poll [^:;]+): /.test(reason) &&
    !/(^|; )(service|store|broker|consumer|mailbox|topology): /.test(reason)
  );
}
