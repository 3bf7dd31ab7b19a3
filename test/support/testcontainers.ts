// npm test ─▶ RabbitMQ and MongoDB in Docker: starts both, prints their addresses as one line of JSON, and removes them
// when its stdin closes, however the test run ended. Run by deploy/servers/testcontainers.ts.
import { MongoDBContainer } from '@testcontainers/mongodb';
import { rabbitmqContainer, rabbitmqUrls } from './rabbitmq-container.ts';

const [rabbitmqImage = '', mongodbImage = '', label = ''] = process.argv.slice(2);
const labels = { [label]: 'true' }; // by which the run removes what a kill leaves
const START_MS = 150_000;

const closed = new Promise<void>((resolve) => {
  process.stdin.once('end', resolve).once('error', resolve).resume();
});

const rabbitmqStarting = rabbitmqContainer(rabbitmqImage, labels).start();
const mongodbStarting = new MongoDBContainer(mongodbImage).withLabels(labels).withStartupTimeout(START_MS).start();
const started = await Promise.allSettled([rabbitmqStarting, mongodbStarting]);

try {
  const [rabbitmq, mongodb] = await Promise.all([rabbitmqStarting, mongodbStarting]);
  const { amqpUrl, managementUrl } = rabbitmqUrls(rabbitmq);
  const urls = {
    rabbitmqUrl: amqpUrl,
    managementUrl,
    mongodbUri: `${mongodb.getConnectionString()}/wecom-agent-router?directConnection=true`,
  };
  process.stdout.write(`${JSON.stringify(urls)}\n`);
  await closed;
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message.replaceAll(/\s+/g, ' ') : error}\n`);
  process.exitCode = 1;
} finally {
  await Promise.all(started.map((result) => (result.status === 'fulfilled' ? result.value.stop() : undefined)));
}
