// Starts the bridge simulator as a process of its own, with what the environment says.
import { startBridgeSimulator } from './start-bridge-simulator.ts';

const { env } = process;

const simulator = await startBridgeSimulator({
  port: Number(env.BRIDGE_SIMULATOR_PORT ?? 3112),
  bindAddress: env.BIND_ADDRESS ?? '127.0.0.1',
  behaviour: { delayMs: Number(env.BRIDGE_SIMULATOR_DELAY_MS ?? 800) },
});
process.stdout.write(`Bridge simulator: ${simulator.url} (/task-async, /control)\n`);

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    simulator.close().then(() => process.exit(0));
  });
}
