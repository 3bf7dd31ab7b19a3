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

const EVICT_AFTER_IDLE_MS = 10 * 60_000;
const EVICT_INTERVAL_MS = 60_000;

export type Breaker<T> = CircuitBreaker<[() => Promise<T>], T>;

/** @returns `breakerFor(instanceId)`; idle closed breakers are dropped, ten thousand of them fit into 100 MB */
export function createCircuitBreakers<T>(settings: BreakerSettings, deps: { logger: Logger; metrics: Metrics }) {
  const { logger, metrics } = deps;
  const breakers = new Map<string, { breaker: Breaker<T>; usedAt: number }>();
  const transitions = metrics.counter('router_breaker_transitions_total', 'Circuit breaker changes', [
    'state',
  ] as const);
  const countIn = (state: 'opened' | 'halfOpen') => () =>
    [...breakers.values()].filter(({ breaker }) => breaker[state]).length;
  metrics.gaugeOf('router_breakers_open', 'Instances whose circuit is open', countIn('opened'));
  metrics.gaugeOf('router_breakers_half_open', 'Instances whose circuit is half-open', countIn('halfOpen'));
  metrics.gaugeOf('router_breakers', 'Circuit breakers in memory', () => breakers.size);

  const create = (instanceId: string): Breaker<T> => {
    const breaker: Breaker<T> = new CircuitBreaker((call: () => Promise<T>) => call(), {
      timeout: false, // the call has its own
      // opossum opens above the percentage, ours opens at it
      errorThresholdPercentage: settings.errorPercent - 0.001,
      volumeThreshold: settings.volume,
      rollingCountTimeout: settings.windowMs,
      rollingCountBuckets: 1,
      resetTimeout: settings.resetMs,
      rollingPercentilesEnabled: false,
      enableSnapshots: false,
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
    const before = performance.now() - EVICT_AFTER_IDLE_MS;
    for (const [instanceId, { breaker, usedAt }] of breakers) {
      if (usedAt > before || !breaker.closed) continue;
      breaker.shutdown();
      breakers.delete(instanceId);
    }
  };
  const evicting = setInterval(evictIdle, EVICT_INTERVAL_MS);
  evicting.unref();

  return {
    breakerFor(instanceId: string): Breaker<T> {
      const known = breakers.get(instanceId);
      if (known) {
        known.usedAt = performance.now();
        return known.breaker;
      }
      const breaker = create(instanceId);
      breakers.set(instanceId, { breaker, usedAt: performance.now() });
      return breaker;
    },
    close() {
      clearInterval(evicting);
      for (const { breaker } of breakers.values()) breaker.shutdown();
    },
  };
}
