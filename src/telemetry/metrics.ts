import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { Hub } from '../hub/hub.ts';
import type { CountedCode } from '../protocol/close-codes.ts';

/** What became of a `POST /broadcast`. */
export type BroadcastResult = 'success' | 'refused' | 'failed';

/** Why a connection did not get what it asked for. */
export type AuthenticationFailure = 'token' | 'channels' | 'limits' | 'timeout';

/** A connection as it is counted. */
export interface CountedConnection {
  readonly isAuthenticated: boolean;
  readonly bufferedBytes: number;
}

/** What is counted. */
export interface MetricsSources {
  readonly hub: Hub;
  readonly connections: ReadonlySet<CountedConnection>;
  readonly broker: { readonly malformedTexts: number };
  readonly descriptors: { readonly shortages: number };
  /** How many lines of the log could not be written. */
  readonly droppedLines: () => number;
}

/** Gauges of prom-client that are named like counters, which Prometheus' own check refuses. */
const MISNAMED_DEFAULTS = [
  'nodejs_active_handles_total',
  'nodejs_active_requests_total',
  'nodejs_active_resources_total',
];

/** Counts what happens for Prometheus. What can be read off the server's state is read when somebody asks. */
export class Metrics {
  readonly registry = new Registry();
  /** Counted here and read when somebody asks: `inc` with a label costs more than handing a message to a socket. */
  readonly #broadcasts: Record<BroadcastResult, number> = { success: 0, refused: 0, failed: 0 };
  #duplicates = 0;
  readonly #durations: Histogram;
  readonly #disconnects: Counter<'code'>;
  readonly #failures: Counter<'reason'>;

  constructor({ hub, connections, broker, descriptors, droppedLines }: MetricsSources) {
    const registers = [this.registry];
    collectDefaultMetrics({ register: this.registry });
    for (const name of MISNAMED_DEFAULTS) this.registry.removeSingleMetric(name);

    const gauge = (name: string, help: string, read: () => number) => {
      new Gauge({
        name,
        help,
        registers,
        collect() {
          this.set(read());
        },
      });
    };
    const sum = (count: (connection: CountedConnection) => number) => () => {
      let total = 0;
      for (const connection of connections) total += count(connection);
      return total;
    };
    gauge('bifrost_connections', 'Websockets open now.', () => connections.size);
    gauge(
      'bifrost_authenticated_connections',
      'Websockets open now that have shown a valid token.',
      sum(({ isAuthenticated }) => Number(isAuthenticated)),
    );
    gauge(
      'bifrost_subscriptions',
      'Pairs of websocket and channel held now.',
      () => hub.subscriptions,
    );
    gauge('bifrost_channels', 'Channels that have a subscriber now.', () => hub.channels);
    gauge(
      'bifrost_buffered_bytes',
      'Bytes that wait for their websocket to take them.',
      sum(({ bufferedBytes }) => bufferedBytes),
    );

    const counter = (name: string, help: string, read: () => number) => {
      new Counter({
        name,
        help,
        registers,
        collect() {
          this.reset();
          this.inc(read());
        },
      });
    };
    counter(
      'bifrost_deliveries_total',
      'Messages and confirmations handed to websockets.',
      () => hub.deliveries,
    );
    counter(
      'bifrost_log_lines_dropped_total',
      'Lines of the log that could not be written.',
      droppedLines,
    );
    counter(
      'bifrost_descriptor_shortages_total',
      'Checks, ten a second, that found no file descriptor left for another connection.',
      () => descriptors.shortages,
    );
    counter(
      'bifrost_broker_malformed_texts_total',
      'Texts under BROKER_PREFIX that no node can have written; they were dropped.',
      () => broker.malformedTexts,
    );
    counter(
      'bifrost_duplicate_requests_total',
      'Requests to broadcast whose jti had been seen before; they were answered and not delivered again.',
      () => this.#duplicates,
    );
    const broadcasts = this.#broadcasts;
    new Counter({
      name: 'bifrost_broadcasts_total',
      help: 'Requests to broadcast, by what became of them; several broadcasts in one request count once.',
      labelNames: ['result'],
      registers,
      collect() {
        this.reset();
        for (const [result, count] of Object.entries(broadcasts)) this.inc({ result }, count);
      },
    });
    this.#durations = new Histogram({
      name: 'bifrost_broadcast_duration_seconds',
      help: 'Time from a broadcast read to its answer written.',
      buckets: [0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 2],
      registers,
    });
    this.#disconnects = new Counter({
      name: 'bifrost_disconnects_total',
      help: 'Websockets that ended, by close code; ours where we hung up.',
      labelNames: ['code'],
      registers,
    });
    this.#failures = new Counter({
      name: 'bifrost_authentication_failures_total',
      help: 'Websockets closed because they could not be subscribed, by what was wrong.',
      labelNames: ['reason'],
      registers,
    });
    // A series that is there from the start can be seen to rise from 0.
    for (const reason of ['token', 'channels', 'limits', 'timeout']) {
      this.#failures.inc({ reason }, 0);
    }
  }

  /** `startMs`, given for a success, is the `performance.now()` at which its body had been read. */
  broadcast(result: BroadcastResult, startMs?: number): void {
    this.#broadcasts[result] += 1;
    if (startMs !== undefined) this.#durations.observe((performance.now() - startMs) / 1_000);
  }

  duplicate(): void {
    this.#duplicates += 1;
  }

  disconnected(code: CountedCode): void {
    this.#disconnects.inc({ code });
  }

  authenticationFailed(reason: AuthenticationFailure): void {
    this.#failures.inc({ reason });
  }
}
