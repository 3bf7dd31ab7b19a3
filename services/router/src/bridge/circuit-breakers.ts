// One circuit breaker per instance: a bridge that is down fails its users quickly and is asked by one task at a time.
import type { Logger, Metrics } from '@pipeline/runtime';
import CircuitBreaker from 'opossum';

export interface BreakerSettings {
  errorPercent: number;
  /** Calls within the window below which it never opens. */
  volume: number;
  windowMs: number;
  /** Open this long before one task is let through. */
  resetMs: number;
}

const EVICT_INTERVAL_MS = 10_000;

type Breaker<T> = CircuitBreaker<[() => Promise<T>], T>;

export interface CircuitBreakers<T> {
  /** Makes a call through the circuit of an instance. @throws what the call throws, or an error of code EOPENBREAKER */
  fire(instanceId: string, call: () => Promise<T>): Promise<T>;
  close(): void;
}

/**
 * An instance gets a breaker with its first failure, which then knows of the calls that went well before; until then
 * they are only counted (ten thousand breakers take 100 MB). One that knows nothing any more is dropped.
 */
export function createCircuitBreakers<T>(
  settings: BreakerSettings,
  deps: { logger: Logger; metrics: Metrics },
): CircuitBreakers<T> {
  const { logger, metrics } = deps;
  const breakers = new Map<string, { breaker: Breaker<T>; usedAt: number }>();
  /** Of instances without a breaker: calls that went well within a window. */
  const healthy = new Map<string, { since: number; successes: number }>();
  const transitions = metrics.counter('router_breaker_transitions_total', 'Circuit breaker changes', [
    'state',
  ] as const);
  const countIn = (state: 'opened' | 'halfOpen') => () =>
    [...breakers.values()].filter(({ breaker }) => breaker[state]).length;
  metrics.gaugeOf('router_breakers_open', 'Instances whose circuit is open', countIn('opened'));
  metrics.gaugeOf('router_breakers_half_open', 'Instances whose circuit is half-open', countIn('halfOpen'));
  metrics.gaugeOf('router_breakers', 'Circuit breakers in memory', () => breakers.size);

  const create = (instanceId: string): Breaker<T> => {
    const successes = healthy.get(instanceId)?.successes ?? 0;
    const window = { rollingCountTimeout: settings.windowMs, rollingCountBuckets: 1 };
    const lean = { rollingPercentilesEnabled: false, enableSnapshots: false };
    const stats = { fires: successes, successes };
    const breaker: Breaker<T> = new CircuitBreaker((call: () => Promise<T>) => call(), {
      ...window,
      ...lean,
      status: CircuitBreaker.newStatus({ ...window, ...lean, stats } as never),
      timeout: false, // the call has its own
      // opossum opens above the percentage, ours opens at it
      errorThresholdPercentage: settings.errorPercent - 0.001,
      volumeThreshold: settings.volume,
      resetTimeout: settings.resetMs,
    });
    const changed = (state: 'open' | 'half-open' | 'closed') => () => {
      transitions.inc({ state });
      logger[state === 'open' ? 'warn' : 'info']({ instanceId, state }, 'breaker.changed');
    };
    breaker.on('open', changed('open'));
    breaker.on('halfOpen', changed('half-open'));
    breaker.on('close', changed('closed'));
    return breaker;
  };

  const evictIdle = () => {
    const before = performance.now() - settings.windowMs;
    for (const [instanceId, { breaker, usedAt }] of breakers) {
      if (usedAt > before || !breaker.closed) continue;
      breaker.shutdown();
      breakers.delete(instanceId);
    }
    for (const [instanceId, { since }] of healthy) if (since <= before) healthy.delete(instanceId);
  };
  const evicting = setInterval(evictIdle, EVICT_INTERVAL_MS);
  evicting.unref();

  const countSuccess = (instanceId: string) => {
    const now = performance.now();
    const known = healthy.get(instanceId);
    if (known && now - known.since < settings.windowMs) known.successes++;
    else healthy.set(instanceId, { since: now, successes: 1 });
  };

  const breakerFor = (instanceId: string): Breaker<T> => {
    const known = breakers.get(instanceId) ?? { breaker: create(instanceId), usedAt: 0 };
    known.usedAt = performance.now();
    breakers.set(instanceId, known);
    healthy.delete(instanceId);
    return known.breaker;
  };

  return {
    async fire(instanceId, call) {
      if (breakers.has(instanceId)) return breakerFor(instanceId).fire(call);
      try {
        const result = await call();
        countSuccess(instanceId);
        return result;
      } catch (error) {
        return breakerFor(instanceId).fire(() => Promise.reject(error));
      }
    },
    close() {
      clearInterval(evicting);
      for (const { breaker } of breakers.values()) breaker.shutdown();
    },
  };
}
