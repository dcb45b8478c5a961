import { Counter, Gauge, type Registry } from 'prom-client';

/**
 * Name, help, and the function that reads the value at a scrape. Of several processes of a machine the sum is shown,
 * or with `min` the least.
 */
export type MetricRow = readonly [name: string, help: string, read: () => number, of?: 'min'];

export function registerGaugeRows(registry: Registry, gauges: readonly MetricRow[]): void {
  for (const [name, help, read, aggregator = 'sum'] of gauges) {
    new Gauge({
      name,
      help,
      aggregator,
      registers: [registry],
      collect() {
        this.set(read());
      },
    });
  }
}

export function registerCounterRows(registry: Registry, counters: readonly MetricRow[]): void {
  for (const [name, help, read] of counters) {
    new Counter({
      name,
      help,
      registers: [registry],
      collect() {
        this.reset();
        this.inc(read());
      },
    });
  }
}

/** A counter of which each reason is there with 0 from the start. */
export function createReasonCounter(
  registry: Registry,
  reasons: readonly string[],
  { name, help }: { readonly name: string; readonly help: string },
): Counter<'reason'> {
  const counter = new Counter({ name, help, labelNames: ['reason'], registers: [registry] });
  // Prometheus sees the first of a reason only if the series was there with 0 before it.
  for (const reason of reasons) counter.inc({ reason }, 0);
  return counter;
}
