import cluster from 'node:cluster';
import { setImmediate } from 'node:timers/promises';
import type { Registry } from 'prom-client';
import type { Bus } from '../broker/bus.ts';
import { Backlog } from './backlog.ts';
import { ClusterBus } from './cluster-bus.ts';
import { MessageBatcher } from './message-batcher.ts';
import type { FromPrimary, FromWorker } from './messages.ts';
import { bytesOf, type ToPrimary } from './topic-messages.ts';

/** The part of a worker's server that the primary controls. */
export interface ControlledServer {
  /** Safe to call twice. */
  close(): Promise<void>;
  renewCertificate(): void;
}

/** How long a worker waits for the metrics of all workers. */
const METRICS_TIMEOUT_MS = 2_000;

/** True if this process is a worker of `runPrimary`. */
export const isWorker = cluster.isWorker;

/**
 * Must be called before anything is awaited. Terminals and platforms signal every process of a group, but a worker takes
 * orders from its primary only.
 */
export function ignoreSignals(): void {
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP']) process.on(signal, () => {});
}

/**
 * The bus of a worker, which is its primary. It is lost while the primary leaves more than `maxBytes` bytes unread.
 * `hasHistory` tells whether the primary keeps messages.
 */
export function createWorkerBus(maxBytes: number, hasHistory: boolean): Bus {
  const backlog = new Backlog(maxBytes);
  const batcher = new MessageBatcher<ToPrimary>((batch) => {
    // The loss rejects every request of this batch.
    if (backlog.isFull) {
      bus.lose();
      return;
    }
    const written = backlog.add(bytesOf(batch.messages));
    sendToPrimary(batch, () => {
      written();
      if (backlog.bytes === 0) bus.regain();
    });
  });
  const bus = new ClusterBus(hasHistory, (message) => batcher.add(message));
  onMessage((batch) => {
    if (batch.kind === 'batch') for (const message of batch.messages) bus.receive(message);
  });
  return bus;
}

/** Executes the primary's orders on the server, also those that were given while this worker was starting. */
export function executeOrders(server: ControlledServer): void {
  onMessage((message) => {
    if (message.kind !== 'order') return;
    if (message.order === 'drain') void closeAndDisconnect(server);
    else server.renewCertificate();
  });
  // Without a primary nothing would stop this worker, replace it or carry its broadcasts.
  cluster.worker?.on('disconnect', () => {
    // Otherwise Node exits the process as soon as this listener returns.
    if (cluster.worker) cluster.worker.exitedAfterDisconnect = true;
    void server.close();
  });
  // Emitted for a write to a primary that has just exited; 'disconnect' follows.
  cluster.worker?.on('error', () => {});
  // Only now, with a listener in place. An order sent earlier would have been lost.
  sendToPrimary({ kind: 'ready' });
}

/**
 * Creates the function with which a worker answers `GET /metrics`. It resolves to the sum over all workers, or to the
 * metrics of this worker if the primary does not answer in time.
 */
export function createClusterMetrics(registry: Registry): () => Promise<string> {
  let lastId = 0;
  let receive = (_id: number, _text: string) => {};
  let current: Promise<string> | undefined;

  onMessage((message) => {
    if (message.kind === 'metrics') receive(message.id, message.text);
    if (message.kind !== 'own metrics request') return;
    const { id } = message;
    registry.getMetricsAsJSON().then(
      (metrics) => sendToPrimary({ kind: 'own metrics', id, metrics }),
      // The primary adds up the metrics of the other workers.
      () => {},
    );
  });
  const request = async () => {
    lastId += 1;
    const id = lastId;
    let timer: NodeJS.Timeout | undefined;
    const text = await new Promise<string | undefined>((resolve) => {
      timer = setTimeout(() => resolve(undefined), METRICS_TIMEOUT_MS);
      receive = (answered, sum) => {
        if (answered === id) resolve(sum);
      };
      sendToPrimary({ kind: 'metrics request', id });
    });
    clearTimeout(timer);
    return text ?? registry.metrics();
  };
  return () =>
    (current ??= request().finally(() => {
      current = undefined;
    }));
}

/** Tells the primary how many websockets of this worker are left while it drains. */
export function sendConnectionsLeft(count: number): void {
  sendToPrimary({ kind: 'connections left', count });
}

/** Tells the primary why no worker can run with this configuration. To be followed by the end of this one. */
export function sendUnusable(reason: string): void {
  sendToPrimary({ kind: 'unusable', reason });
}

async function closeAndDisconnect(server: ControlledServer): Promise<void> {
  await server.close();
  // The message batcher sends what was put in this turn at its end.
  await setImmediate();
  disconnect();
}

/** Closes the channel to the primary, which would keep this worker alive. Does nothing in a single process. */
export function disconnect(): void {
  cluster.worker?.disconnect();
}

function onMessage(listen: (message: FromPrimary) => void): void {
  process.on('message', listen);
}

function sendToPrimary(message: FromWorker, onWritten = () => {}): void {
  if (process.connected) process.send?.(message, undefined, undefined, onWritten);
}
