// Prometheus metrics of one process.
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';

export interface Metrics {
  registry: Registry;
  counter<L extends string = never>(name: string, help: string, labels?: readonly L[]): Counter<L>;
  gauge<L extends string = never>(name: string, help: string, labels?: readonly L[]): Gauge<L>;
  /** A gauge whose value is read when it is scraped. */
  gaugeOf(name: string, help: string, read: () => number | Promise<number>): void;
  /** A histogram of seconds with buckets from 1 ms to 3 min. */
  seconds<L extends string = never>(name: string, help: string, labels?: readonly L[]): Histogram<L>;
}

const SECONDS_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 180];

/** A registry of its own (nothing global), with Node's process metrics and a `service` label on all. */
export function createMetrics(service: string): Metrics {
  const registry = new Registry();
  registry.setDefaultLabels({ service });
  collectDefaultMetrics({ register: registry });
  const registers = [registry];
  return {
    registry,
    counter: (name, help, labels = []) => new Counter({ name, help, labelNames: [...labels], registers }),
    gauge: (name, help, labels = []) => new Gauge({ name, help, labelNames: [...labels], registers }),
    gaugeOf(name, help, read) {
      new Gauge({
        name,
        help,
        registers,
        async collect() {
          this.set(await read());
        },
      });
    },
    seconds: (name, help, labels = []) =>
      new Histogram({ name, help, labelNames: [...labels], registers, buckets: SECONDS_BUCKETS }),
  };
}
