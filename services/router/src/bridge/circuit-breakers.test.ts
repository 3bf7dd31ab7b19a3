import { afterEach, describe, expect, jest, test } from '@jest/globals';
import { createLogger, createMetrics } from '@pipeline/runtime';
import { type BreakerSettings, createCircuitBreakers } from './circuit-breakers.ts';

const settings: BreakerSettings = { errorPercent: 50, volume: 5, windowMs: 60_000, resetMs: 30_000 };
const failing = () => Promise.reject(new Error('refused'));
const working = () => Promise.resolve('ack');

let close = () => {};
afterEach(() => {
  close();
  jest.useRealTimers();
});

function breakers() {
  jest.useFakeTimers();
  const metrics = createMetrics('test');
  const created = createCircuitBreakers<string>(settings, {
    logger: createLogger({ service: 'test', level: 'silent' }),
    metrics,
  });
  close = created.close;
  const call = async (instanceId: string, run: () => Promise<string>) =>
    created.fire(instanceId, run).catch((error: Error & { code?: string }) => error.code ?? error.message);
  const inMemory = async () => (await metrics.registry.getSingleMetric('router_breakers')?.get())?.values[0]?.value;
  return { call, inMemory, ...created };
}

/** Fails the instance's calls until its circuit is open. */
async function open(call: ReturnType<typeof breakers>['call'], instanceId: string) {
  for (let i = 0; i < settings.volume; i++) await call(instanceId, failing);
}

describe('the circuit of an instance', () => {
  test('stays closed over four failures and opens with the fifth', async () => {
    const { call } = breakers();
    for (let i = 0; i < 4; i++) expect(await call('i-1', failing)).toBe('refused');
    expect(await call('i-1', failing)).toBe('refused');
    expect(await call('i-1', working)).toBe('EOPENBREAKER');
  });

  test('opens at half of the calls failing, not below', async () => {
    const { call } = breakers();
    for (const run of [working, working, working, failing, failing]) await call('i-1', run);
    expect(await call('i-1', working)).toBe('ack');
    for (const run of [failing, failing]) await call('i-1', run);
    expect(await call('i-1', working)).toBe('EOPENBREAKER');
  });

  test('is nobody else’s, even on the same host', async () => {
    const { call } = breakers();
    await open(call, 'i-1');
    expect(await call('i-2', working)).toBe('ack');
  });

  test('forgets what is over a minute old', async () => {
    const { call } = breakers();
    for (let i = 0; i < 4; i++) await call('i-1', failing);
    jest.advanceTimersByTime(60_000);
    await call('i-1', failing);
    expect(await call('i-1', working)).toBe('ack');
  });

  test('lets one task through after 30 s, and closes when it works', async () => {
    const { call } = breakers();
    await open(call, 'i-1');
    jest.advanceTimersByTime(29_999);
    expect(await call('i-1', working)).toBe('EOPENBREAKER');
    jest.advanceTimersByTime(1);
    const { promise, resolve } = Promise.withResolvers<string>();
    const first = call('i-1', () => promise);
    expect(await call('i-1', working)).toBe('EOPENBREAKER');
    resolve('ack');
    expect(await first).toBe('ack');
    expect(await call('i-1', working)).toBe('ack');
  });

  test('opens again when that task fails', async () => {
    const { call } = breakers();
    await open(call, 'i-1');
    jest.advanceTimersByTime(30_000);
    expect(await call('i-1', failing)).toBe('refused');
    expect(await call('i-1', working)).toBe('EOPENBREAKER');
  });
});

test('an instance without failures takes no breaker', async () => {
  const { call, inMemory } = breakers();
  for (let i = 0; i < 10; i++) expect(await call('healthy', working)).toBe('ack');
  expect(await inMemory()).toBe(0);
});

test('a breaker that knows nothing any more is dropped, an open one is kept', async () => {
  const { call, inMemory } = breakers();
  await call('idle', failing);
  await open(call, 'open');
  expect(await inMemory()).toBe(2);
  jest.advanceTimersByTime(29_000);
  expect(await call('open', working)).toBe('EOPENBREAKER');
  jest.advanceTimersByTime(11 * 60_000);
  expect(await inMemory()).toBe(1);
});
