// The topology step: a one-shot process that runs before the services and gives the broker its exchanges and queues.
import { applyTopology, defaultManagementUrl } from '@pipeline/broker';
import {
  ConfigError,
  commonSettings,
  describeError,
  EXIT_CONFIG,
  RetryableError,
  readConfig,
  sleep,
  url,
} from '@pipeline/runtime';
import { z } from 'zod';

const WAIT_FOR_BROKER_MS = 60_000;
const RETRY_MS = 500;

const schema = z.object({
  RABBITMQ_URL: commonSettings.RABBITMQ_URL,
  RABBITMQ_MANAGEMENT_URL: url('http:', 'https:').optional(),
  PARTITIONS: commonSettings.PARTITIONS,
});

try {
  const config = readConfig(schema, process.env);
  const giveUpAt = performance.now() + WAIT_FOR_BROKER_MS;
  for (;;) {
    try {
      await applyTopology({
        amqpUrl: config.RABBITMQ_URL,
        managementUrl: config.RABBITMQ_MANAGEMENT_URL ?? defaultManagementUrl(config.RABBITMQ_URL),
        partitions: config.PARTITIONS,
      });
      break;
    } catch (error) {
      if (!(error instanceof RetryableError) || performance.now() > giveUpAt) throw error;
      await sleep(RETRY_MS);
    }
  }
  process.stdout.write(`topology for ${config.PARTITIONS} partitions applied and verified\n`);
} catch (error) {
  process.stderr.write(`topology: ${describeError(error)}\n`);
  process.exitCode = error instanceof ConfigError ? EXIT_CONFIG : 1;
}
