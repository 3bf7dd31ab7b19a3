// A service's HTTP server at its stop, with a client that won't go.
import { once } from 'node:events';
import { connect } from 'node:net';
import { expect, test } from '@jest/globals';
import { freePorts } from '../../../test/support/pipeline.ts';
import { createHealth, createHttpServer, createLogger, createMetrics, jsonBody } from '../src/index.ts';

test('a client that never ends its request holds a stop up for a second, not for ever', async () => {
  const [port = 0] = await freePorts(1);
  const http = createHttpServer({
    bindAddress: '127.0.0.1',
    port,
    portVariable: 'PORT',
    health: createHealth(),
    metrics: createMetrics('test'),
    logger: createLogger({ service: 'test', level: 'silent' }),
  });
  const begun = new Promise<void>((resolve) => {
    http.app.use((_request, _response, next) => {
      resolve();
      next();
    }, jsonBody());
  });
  await http.listen();
  const client = connect(port, '127.0.0.1');
  client.on('error', () => {}); // it is cut off
  const ended = once(client, 'close');
  client.write('POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n{');
  await begun;
  const closingAt = performance.now();
  await http.close();
  await ended;
  expect(performance.now() - closingAt).toBeLessThan(5_000);
});
