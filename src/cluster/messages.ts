import type { MetricObjectWithValues, MetricValue } from 'prom-client';
import type { ToPrimary, ToWorker } from '../broker/bus-cluster.ts';
import type { MessageBatch } from '../broker/message-batcher.ts';

/** What the primary may order; an order that a worker misses because it is still starting is given again. */
export type Order = 'drain' | 'renew certificate';

/** The metrics of one process, as prom-client adds them up. */
export type ProcessMetrics = readonly MetricObjectWithValues<MetricValue<string>>[];

/** From a worker to its primary. */
export type FromWorker =
  | MessageBatch<ToPrimary>
  /** It listens for orders. What was ordered before, it has not heard. */
  | { readonly kind: 'ready' }
  /** Asks for the metrics of all workers. */
  | { readonly kind: 'metrics request'; readonly id: number }
  | { readonly kind: 'own metrics'; readonly id: number; readonly metrics: ProcessMetrics };

/** From the primary to a worker. */
export type FromPrimary =
  | MessageBatch<ToWorker>
  | { readonly kind: 'order'; readonly order: Order }
  /** Asks for the metrics of this worker. */
  | { readonly kind: 'own metrics request'; readonly id: number }
  | { readonly kind: 'metrics'; readonly id: number; readonly text: string };

/** The exit code of a worker that no other could replace: its port is taken, its Redis can never do (`sysexits.h`). */
export const EXIT_UNUSABLE = 78;

const MAX_WAITING_BYTES = 64 * 1_024 * 1_024;
const MAX_WAITING_MESSAGES = 16;

/** How much may wait for a process that does not read: at least so many of the largest messages. */
export function maxWaitingBytes(maxBodyBytes: number): number {
  return Math.max(MAX_WAITING_BYTES, MAX_WAITING_MESSAGES * maxBodyBytes);
}
