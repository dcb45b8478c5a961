import type { MetricObjectWithValues, MetricValue } from 'prom-client';
import type { MessageBatch } from './message-batcher.ts';
import type { ToPrimary, ToWorker } from './topic-messages.ts';

/** What the primary may order. A worker that is still starting receives the order once it is ready. */
export type Order = 'drain' | 'renew certificate';

/** The metrics of one process, in the form that prom-client aggregates. */
export type ProcessMetrics = readonly MetricObjectWithValues<MetricValue<string>>[];

/** From a worker to its primary. */
export type FromWorker =
  | MessageBatch<ToPrimary>
  /** From now on the worker listens for orders. It has not received earlier ones. */
  | { readonly kind: 'ready' }
  /** Asks for the metrics of all workers. */
  | { readonly kind: 'metrics request'; readonly id: number }
  | { readonly kind: 'own metrics'; readonly id: number; readonly metrics: ProcessMetrics }
  /** The worker drains, and so many of its websockets are left. Told on a terminal only. */
  | { readonly kind: 'connections left'; readonly count: number }
  /** The worker cannot run with this configuration, and exits with `EXIT_UNUSABLE`. */
  | { readonly kind: 'unusable'; readonly reason: string };

/** From the primary to a worker. */
export type FromPrimary =
  | MessageBatch<ToWorker>
  | { readonly kind: 'order'; readonly order: Order }
  /** Asks for the metrics of this worker. */
  | { readonly kind: 'own metrics request'; readonly id: number }
  | { readonly kind: 'metrics'; readonly id: number; readonly text: string };

/**
 * The exit code (`EX_CONFIG` of `sysexits.h`) of a worker that cannot run with this configuration, so that starting
 * another is useless: the port is taken, or the Redis is unusable.
 */
export const EXIT_UNUSABLE = 78;

/** Tells a worker what opens the playground; empty if nothing does. Only workers read it. */
export const PLAYGROUND_KEY_VARIABLE = 'BIFROST_PLAYGROUND_KEY';

const MAX_WAITING_BYTES = 64 * 1_024 * 1_024;
const MAX_WAITING_MESSAGES = 16;

/** How many bytes may wait for a process that does not read: room for 16 of the largest messages, or 64 MiB. */
export function maxWaitingBytes(maxBodyBytes: number): number {
  return Math.max(MAX_WAITING_BYTES, MAX_WAITING_MESSAGES * maxBodyBytes);
}
