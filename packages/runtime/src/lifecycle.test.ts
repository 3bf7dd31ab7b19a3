import { expect, test } from '@jest/globals';
import { createLifecycle } from './lifecycle.ts';

test('parts are stopped in reverse; those that hang share one budget, and none is left out for it', async () => {
  const stopped: string[] = [];
  const service = createLifecycle(async ({ opened }) => {
    for (const name of ['http', 'store', 'broker'])
      opened(async () => {
        stopped.push(name);
        if (name !== 'store') await new Promise(() => {});
      });
    opened(() => stopped.push('timer'));
  }, 100);
  await service.start();
  const stoppingAt = performance.now();
  await service.stop();
  expect(stopped).toEqual(['timer', 'broker', 'store', 'http']);
  expect(performance.now() - stoppingAt).toBeLessThan(1_000);
});

test('a start that hangs holds no stop up', async () => {
  let isClosed = false;
  const service = createLifecycle(async ({ opened }) => {
    opened(() => {
      isClosed = true;
    });
    await new Promise(() => {});
  }, 100);
  void service.start();
  await service.stop();
  expect(isClosed).toBe(true);
});

test('a part that fails to stop is told', async () => {
  const service = createLifecycle(async ({ opened }) => opened(() => Promise.reject(new Error('no'))));
  await service.start();
  await expect(service.stop()).rejects.toThrow('no');
});
