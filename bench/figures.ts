/** What one run of a broadcast scenario showed. */
export type BroadcastFigures = {
  /** User and system time of the server for one message to one subscriber. */
  readonly cpuUsPerDelivery: number;
  readonly deliveriesPerSecond: number;
  readonly broadcastsPerSecond: number;
  /** As counted by the subscribers. One read takes what several writes brought when the reader was late. */
  readonly framesPerRead: number;
  /** Received by a subscriber's socket, frame headers included. */
  readonly bytesPerDelivery: number;
  /** The latency from the POST to the last subscriber's frame. */
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Resident memory of the server at the end. */
  readonly rssBytes: number;
};

/** What one run of a connection scenario showed. */
export type ConnectionFigures = {
  /** User and system time of the server for one connection. */
  readonly cpuUsPerConnection: number;
  readonly connectionsPerSecond: number;
  /** By how much the server's resident memory grew. */
  readonly rssBytesPerConnection: number;
};

/** What one run showed, by name. */
export type Figures = Readonly<Record<string, number>>;

/** The value below which `share` (0 to 1) of the sorted `values` lie. NaN without values. */
export function quantile(values: readonly number[], share: number): number {
  return values[Math.min(values.length - 1, Math.floor(values.length * share))] ?? Number.NaN;
}

function median(values: readonly number[]): number {
  return quantile(
    values.toSorted((a, b) => a - b),
    0.5,
  );
}

/** The median of each figure over `runs`: at least one, all of the same scenario. */
export function medians<F extends Figures>(runs: readonly F[]): F {
  const names = Object.keys(runs[0] ?? {}) as (keyof F)[];
  return Object.fromEntries(
    names.map((name) => [name, median(runs.map((run) => Number(run[name])))]),
  ) as F;
}
