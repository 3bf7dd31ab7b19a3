// RabbitMQ in a container, as tests need it.
import { fileURLToPath } from 'node:url';
import { RabbitMQContainer, type StartedRabbitMQContainer } from '@testcontainers/rabbitmq';

const PLUGINS = '[rabbitmq_management,rabbitmq_prometheus,rabbitmq_consistent_hash_exchange].\n';
const ADVANCED = fileURLToPath(new URL('../../deploy/rabbitmq/advanced.config', import.meta.url));
const MANAGEMENT_PORT = 15_672;
const START_MS = 150_000;

/** @param labels by which what a kill leaves can be found */
export function rabbitmqContainer(image: string, labels: Record<string, string> = {}): RabbitMQContainer {
  return new RabbitMQContainer(image)
    .withCopyContentToContainer([{ content: PLUGINS, target: '/etc/rabbitmq/enabled_plugins' }])
    .withCopyFilesToContainer([{ source: ADVANCED, target: '/etc/rabbitmq/advanced.config' }])
    .withLabels(labels)
    .withStartupTimeout(START_MS);
}

/** Where a container is reached: on other ports after each restart. */
export function rabbitmqUrls(started: StartedRabbitMQContainer): { amqpUrl: string; managementUrl: string } {
  return {
    amqpUrl: started.getAmqpUrl().replace('://', '://guest:guest@'),
    managementUrl: `http://guest:guest@${started.getHost()}:${started.getMappedPort(MANAGEMENT_PORT)}`,
  };
}
