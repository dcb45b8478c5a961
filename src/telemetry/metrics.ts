import { Counter, collectDefaultMetrics, Histogram, Registry } from 'prom-client';
import type { Hub } from '../hub/hub.ts';
import { type CountedCode, disconnects, protocolErrors } from '../protocol/close-codes.ts';
import {
  createGaps,
  type GapReason,
  type MeasuredHistory,
  registerHistory,
} from './history-metrics.ts';
import {
  createReasonCounter,
  type MetricRow,
  registerCounterRows,
  registerGaugeRows,
} from './metric-rows.ts';

/** What became of a `POST /broadcast`. */
export type BroadcastResult = 'success' | 'refused' | 'failed';

const AUTHENTICATION_FAILURES = ['token', 'channels', 'limits', 'timeout'] as const;

/** Why a connection was closed instead of subscribed. */
export type AuthenticationFailure = (typeof AUTHENTICATION_FAILURES)[number];

/** The part of a connection that is measured. */
export interface CountedConnection {
  readonly isAuthenticated: boolean;
  readonly bufferedBytes: number;
}

/** The parts of the server that are read at every scrape. */
export interface MetricsSources {
  readonly hub: Hub;
  readonly connections: ReadonlySet<CountedConnection>;
  readonly broker: { readonly malformedTexts: number; readonly isAvailable: boolean };
  /** What this process keeps for clients that come back; undefined when it keeps nothing itself. */
  readonly history: MeasuredHistory | undefined;
  readonly descriptors: { readonly shortages: number };
  /** Log lines that could not be written so far. */
  readonly droppedLines: () => number;
}

/** Gauges of prom-client whose names end like counters' names; Prometheus' own check (promtool) refuses them. */
const MISNAMED_DEFAULTS = [
  'nodejs_active_handles_total',
  'nodejs_active_requests_total',
  'nodejs_active_resources_total',
];

/** Measures the server for Prometheus. What the server's state already tells is read at the scrape. */
export class Metrics {
  readonly registry = new Registry();
  /** Plain numbers that are read at the scrape: `inc` with a label costs more than handing a message to a socket. */
  readonly #broadcasts: Record<BroadcastResult, number> = { success: 0, refused: 0, failed: 0 };
  #duplicates = 0;
  #replayed = 0;
  readonly #gaps: Counter<'reason'>;
  readonly #durations: Histogram;
  readonly #disconnects: Counter<'code'>;
  readonly #failures: Counter<'reason'>;

  constructor(sources: MetricsSources) {
    registerDefaults(this.registry);
    registerGauges(this.registry, sources);
    registerCounters(this.registry, sources, {
      duplicates: () => this.#duplicates,
      replayed: () => this.#replayed,
    });
    if (sources.history !== undefined) registerHistory(this.registry, sources.history);
    this.#gaps = createGaps(this.registry);
    registerBroadcasts(this.registry, this.#broadcasts);
    this.#durations = createDurations(this.registry);
    this.#disconnects = createDisconnects(this.registry);
    this.#failures = createFailures(this.registry);
  }

  /** `startMs`, given for a success, is the `performance.now()` at which the body had been read. */
  broadcast(result: BroadcastResult, startMs?: number): void {
    this.#broadcasts[result] += 1;
    if (startMs !== undefined) this.#durations.observe((performance.now() - startMs) / 1_000);
  }

  duplicate(): void {
    this.#duplicates += 1;
  }

  /** Counts what a client that came back was told of its channels: how many messages were missed, or why that is unknown. */
  recovered(verdicts: readonly (number | GapReason)[]): void {
    for (const verdict of verdicts) {
      if (typeof verdict === 'number') this.#replayed += verdict;
      else this.#gaps.inc({ reason: verdict });
    }
  }

  disconnected(code: CountedCode): void {
    this.#disconnects.inc({ code });
  }

  authenticationFailed(reason: AuthenticationFailure): void {
    this.#failures.inc({ reason });
  }
}

function registerDefaults(register: Registry): void {
  collectDefaultMetrics({ register });
  for (const name of MISNAMED_DEFAULTS) register.removeSingleMetric(name);
}

function registerGauges(registry: Registry, { hub, broker, connections }: MetricsSources): void {
  const sum = (measure: (connection: CountedConnection) => number) => () => {
    let total = 0;
    for (const connection of connections) total += measure(connection);
    return total;
  };
  const gauges: readonly MetricRow[] = [
    ['bifrost_connections', 'Websockets open now.', () => connections.size],
    [
      'bifrost_authenticated_connections',
      'Websockets open now that have shown a valid token.',
      sum(({ isAuthenticated }) => Number(isAuthenticated)),
    ],
    ['bifrost_subscriptions', 'Pairs of websocket and channel held now.', () => hub.subscriptions],
    ['bifrost_channels', 'Channels that have a subscriber now.', () => hub.channels],
    [
      'bifrost_buffered_bytes',
      'Bytes that wait for their websocket to take them.',
      sum(({ bufferedBytes }) => bufferedBytes),
    ],
    [
      'bifrost_broker_available',
      '1 while broadcasts reach all processes and machines, 0 while they are refused with 503.',
      () => Number(broker.isAvailable),
      'min',
    ],
  ];
  registerGaugeRows(registry, gauges);
}

function registerCounters(
  registry: Registry,
  { hub, broker, descriptors, droppedLines }: MetricsSources,
  read: { readonly duplicates: () => number; readonly replayed: () => number },
): void {
  const counters: readonly MetricRow[] = [
    [
      'bifrost_deliveries_total',
      'Messages and confirmations handed to websockets.',
      () => hub.deliveries,
    ],
    [
      'bifrost_log_lines_dropped_total',
      'Lines of the log that could not be written.',
      droppedLines,
    ],
    [
      'bifrost_descriptor_shortages_total',
      'Checks, ten a second, that found no file descriptor left for another connection.',
      () => descriptors.shortages,
    ],
    [
      'bifrost_broker_malformed_texts_total',
      'Texts under BROKER_PREFIX that no node can have written; they were dropped.',
      () => broker.malformedTexts,
    ],
    [
      'bifrost_duplicate_requests_total',
      'Requests to broadcast whose jti had been seen before; they were answered and not delivered again.',
      read.duplicates,
    ],
    [
      'bifrost_replayed_messages_total',
      'Kept messages that were sent again to clients that came back.',
      read.replayed,
    ],
  ];
  registerCounterRows(registry, counters);
}

function registerBroadcasts(
  registry: Registry,
  counts: Readonly<Record<BroadcastResult, number>>,
): void {
  new Counter({
    name: 'bifrost_broadcasts_total',
    help: 'Requests to broadcast, by what became of them; several broadcasts in one request count once.',
    labelNames: ['result'],
    registers: [registry],
    collect() {
      this.reset();
      for (const [result, count] of Object.entries(counts)) this.inc({ result }, count);
    },
  });
}

function createDurations(registry: Registry): Histogram {
  return new Histogram({
    name: 'bifrost_broadcast_duration_seconds',
    help: 'Time from a broadcast read to its answer written.',
    buckets: [0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 2],
    registers: [registry],
  });
}

function createDisconnects(registry: Registry): Counter<'code'> {
  const counter = new Counter({
    name: 'bifrost_disconnects_total',
    help: 'Websockets that ended, by close code; ours where we hung up.',
    labelNames: ['code'],
    registers: [registry],
  });
  // Prometheus sees the first of a code only if the series was there with 0 before it.
  for (const { code } of Object.values({ ...disconnects, ...protocolErrors })) {
    counter.inc({ code }, 0);
  }
  return counter;
}

function createFailures(registry: Registry): Counter<'reason'> {
  return createReasonCounter(registry, AUTHENTICATION_FAILURES, {
    name: 'bifrost_authentication_failures_total',
    help: 'Websockets closed because they could not be subscribed, by what was wrong.',
  });
}
