import cluster from 'node:cluster';
import { setImmediate } from 'node:timers/promises';
import type { Registry } from 'prom-client';
import { Backlog } from '../broker/backlog.ts';
import type { Bus } from '../broker/bus.ts';
import { bytesOf, ClusterBus, type ToPrimary } from '../broker/bus-cluster.ts';
import { MessageBatcher } from '../broker/message-batcher.ts';
import type { FromPrimary, FromWorker } from './messages.ts';

/** What the primary may have a worker's server do. */
export interface ObedientServer {
  /** Safe to call twice. */
  close(): Promise<void>;
  renewCertificate(): void;
}

/** How long the primary has to add up the metrics of all workers. */
const METRICS_WITHIN_MS = 2_000;

/** Whether this process is a worker of `runPrimary`. */
export const isWorker = cluster.isWorker;

/** To be called first: terminals and platforms signal every process, and a worker obeys its primary alone. */
export function ignoreSignals(): void {
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP']) process.on(signal, () => {});
}

/** The bus of a worker: its primary. It is lost while the primary leaves more than `maxBytes` unread. */
export function createWorkerBus(maxBytes: number): Bus {
  const backlog = new Backlog(maxBytes);
  const batcher = new MessageBatcher<ToPrimary>((batch) => {
    // The loss rejects every request of this batch.
    if (backlog.isFull) {
      bus.lose();
      return;
    }
    const written = backlog.add(bytesOf(batch.messages));
    tellPrimary(batch, () => {
      written();
      if (backlog.bytes === 0) bus.regain();
    });
  });
  const bus = new ClusterBus((message) => batcher.add(message));
  onMessage((batch) => {
    if (batch.kind === 'batch') for (const message of batch.messages) bus.receive(message);
  });
  return bus;
}

/** Has the server of a worker obey its primary, from now on and what was ordered before. */
export function obeyPrimary(server: ObedientServer): void {
  onMessage((message) => {
    if (message.kind !== 'order') return;
    if (message.order === 'drain') void leave(server);
    else server.renewCertificate();
  });
  // Without its primary nobody would end it, replace it or carry its broadcasts.
  cluster.worker?.on('disconnect', () => {
    // Else Node would end the process right here.
    if (cluster.worker) cluster.worker.exitedAfterDisconnect = true;
    void server.close();
  });
  // A write to a primary that has just gone; 'disconnect' follows.
  cluster.worker?.on('error', () => {});
  // Orders that came before would have been given to nobody.
  tellPrimary({ kind: 'ready' });
}

/** Resolves to the metrics of all workers of this machine, added up; for a worker to answer `GET /metrics` with. */
export function createClusterMetrics(registry: Registry): () => Promise<string> {
  let lastId = 0;
  let receive = (_id: number, _text: string) => {};
  let current: Promise<string> | undefined;

  onMessage((message) => {
    if (message.kind === 'metrics') receive(message.id, message.text);
    if (message.kind !== 'own metrics request') return;
    const { id } = message;
    registry.getMetricsAsJSON().then(
      (metrics) => tellPrimary({ kind: 'own metrics', id, metrics }),
      // The primary adds up what the others say.
      () => {},
    );
  });
  const ask = async () => {
    lastId += 1;
    const id = lastId;
    let timer: NodeJS.Timeout | undefined;
    const text = await new Promise<string | undefined>((resolve) => {
      timer = setTimeout(() => resolve(undefined), METRICS_WITHIN_MS);
      receive = (answered, sum) => {
        if (answered === id) resolve(sum);
      };
      tellPrimary({ kind: 'metrics request', id });
    });
    clearTimeout(timer);
    // One scrape of this process alone is better than none.
    return text ?? registry.metrics();
  };
  return () =>
    (current ??= ask().finally(() => {
      current = undefined;
    }));
}

async function leave(server: ObedientServer): Promise<void> {
  await server.close();
  // What was told in this turn is still to be posted.
  await setImmediate();
  disconnect();
}

/** Lets this worker end: its channel to the primary would keep it alive. */
export function disconnect(): void {
  cluster.worker?.disconnect();
}

function onMessage(listen: (message: FromPrimary) => void): void {
  process.on('message', listen);
}

function tellPrimary(message: FromWorker, onWritten = () => {}): void {
  if (process.connected) process.send?.(message, undefined, undefined, onWritten);
}
