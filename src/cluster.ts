import cluster, { type Worker } from 'node:cluster';
import { setTimeout as delay, setImmediate } from 'node:timers/promises';
import { AggregatorRegistry, type Registry } from 'prom-client';
import type { Bus } from './bus.ts';
import { ClusterBus, Exchange, type ToPrimary, type ToWorker } from './bus-cluster.ts';
import type { Log } from './log.ts';
import { type Letters, Mailbox } from './mailbox.ts';
import type { Server } from './server.ts';

/** What else passes between a worker and its primary. */
type Order = { readonly kind: 'drain' } | { readonly kind: 'renew certificate' };
type MetricsRequest = { readonly kind: 'metrics request'; readonly id: number };
type MetricsReply = {
  readonly kind: 'metrics';
  readonly id: number;
  readonly text: string | undefined;
};

/** The exit code of a worker that no other could replace: its port is taken, its Redis can never do (`sysexits.h`). */
export const EXIT_UNUSABLE = 78;

/** A worker that lived this long died of something else than its start. */
const STABLE_MS = 10_000;
const LEAST_BACKOFF_MS = 100;
const MOST_BACKOFF_MS = 10_000;

/**
 * Runs `processes` workers, replaces those that die, and passes broadcasts between them. Ends when they have, on
 * SIGTERM or SIGINT; a second SIGINT ends everything at once.
 */
export function runPrimary(
  processes: number,
  env: Readonly<Record<string, string>>,
  log: Log,
): void {
  cluster.setupPrimary({ serialization: 'advanced' });
  const metrics = new AggregatorRegistry();
  const mailboxes = new Map<Worker, Mailbox<ToWorker>>();
  const exchange = new Exchange<Worker>((worker, message) => mailboxes.get(worker)?.put(message));
  const draining = new AbortController();
  let backoffMs = LEAST_BACKOFF_MS;

  const fork = () => {
    if (draining.signal.aborted) return;
    const worker = cluster.fork(env);
    const start = performance.now();
    mailboxes.set(worker, new Mailbox((letters) => send(worker, letters)));
    worker.on('message', (message: Letters<ToPrimary> | MetricsRequest) => {
      if (message.kind === 'metrics request')
        void answerMetrics(worker, message.id, () => metrics.clusterMetrics());
      else if (message.kind === 'letters')
        for (const letter of message.letters) exchange.receive(worker, letter);
    });
    // Without a listener a worker that cannot be started would end the primary; its exit is told as any other.
    worker.on('error', (error) => log.error({ err: error }, 'a worker cannot be reached'));
    worker.on('exit', (code, signal) => {
      exchange.forget(worker);
      mailboxes.delete(worker);
      if (draining.signal.aborted) return;
      if (code === EXIT_UNUSABLE) {
        process.exitCode = 1;
        drain();
        return;
      }
      backoffMs = performance.now() - start > STABLE_MS ? LEAST_BACKOFF_MS : backoffMs * 2;
      const delayMs = Math.min(backoffMs, MOST_BACKOFF_MS);
      log.error(
        { worker: worker.process.pid, code, signal, delayMs },
        'a worker died; another takes its place',
      );
      // A drain does not wait for workers that are yet to come.
      delay(delayMs, undefined, { signal: draining.signal }).then(fork, () => {});
    });
  };
  const tellAll = (order: Order) => {
    for (const worker of Object.values(cluster.workers ?? {})) if (worker) send(worker, order);
  };
  const drain = () => {
    draining.abort();
    tellAll({ kind: 'drain' });
  };

  process.on('SIGTERM', drain);
  process.once('SIGINT', () => {
    drain();
    process.once('SIGINT', () => {
      for (const worker of Object.values(cluster.workers ?? {})) worker?.process.kill('SIGKILL');
      process.kill(process.pid, 'SIGINT');
    });
  });
  process.on('SIGHUP', () => tellAll({ kind: 'renew certificate' }));
  for (let n = 0; n < processes; n += 1) fork();
}

/** Whether this process is a worker of `runPrimary`. */
export const isWorker = cluster.isWorker;

/** The bus of a worker: its primary. */
export function createWorkerBus(): Bus {
  const mailbox = new Mailbox<ToPrimary>(tellPrimary);
  const bus = new ClusterBus((message) => mailbox.put(message));
  process.on('message', (message: Letters<ToWorker> | { readonly kind?: never }) => {
    if (message.kind === 'letters') for (const letter of message.letters) bus.receive(letter);
  });
  return bus;
}

/** Has the server of a worker obey its primary, and no signal: terminals and platforms send those to every process. */
export function obeyPrimary(server: Server): void {
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP']) process.on(signal, () => {});
  process.on('message', (message: Order | { readonly kind?: never }) => {
    if (message.kind === 'drain') void leave(server);
    if (message.kind === 'renew certificate') server.renewCertificate();
  });
  // Without its primary nobody would end it, replace it or carry its broadcasts.
  cluster.worker?.on('disconnect', () => {
    // Else Node would end the process right here.
    if (cluster.worker) cluster.worker.exitedAfterDisconnect = true;
    void server.close();
  });
}

/** Resolves to the metrics of all workers of this machine, added up; for a worker to answer `GET /metrics` with. */
export function createClusterMetrics(registry: Registry): () => Promise<string> {
  AggregatorRegistry.setRegistries(registry);
  // Made for what its constructor does: this worker answers when the primary collects.
  new AggregatorRegistry();
  const waiting = new Map<number, (text: string | undefined) => void>();
  let lastId = 0;
  process.on('message', (message: MetricsReply | { readonly kind?: never }) => {
    if (message.kind !== 'metrics') return;
    waiting.get(message.id)?.(message.text);
    waiting.delete(message.id);
  });
  return async () => {
    lastId += 1;
    const id = lastId;
    const text = await new Promise<string | undefined>((resolve) => {
      waiting.set(id, resolve);
      tellPrimary({ kind: 'metrics request', id });
    });
    // One scrape of this process alone is better than none.
    return text ?? registry.metrics();
  };
}

async function answerMetrics(worker: Worker, id: number, gather: () => Promise<string>) {
  const text = await gather().catch(() => undefined);
  send(worker, { kind: 'metrics', id, text });
}

async function leave(server: Server): Promise<void> {
  await server.close();
  // What was told in this turn is still to be posted.
  await setImmediate();
  disconnect();
}

/** Lets this worker end: its channel to the primary would keep it alive. */
export function disconnect(): void {
  cluster.worker?.disconnect();
}

function send(worker: Worker, message: Letters<ToWorker> | Order | MetricsReply): void {
  // A worker that has just died hears nothing; its exit is about to be told.
  if (worker.isConnected()) worker.send(message, () => {});
}

function tellPrimary(message: Letters<ToPrimary> | MetricsRequest): void {
  if (process.connected) process.send?.(message, undefined, undefined, () => {});
}
