import cluster, { type Worker } from 'node:cluster';
import { setTimeout as delay } from 'node:timers/promises';
import { TopicRouter } from './broker/bus-cluster.ts';
import { ForkedWorker } from './cluster/forked-worker.ts';
import { EXIT_UNUSABLE, type FromWorker, maxWaitingBytes, type Order } from './cluster/messages.ts';
import { MetricsSurvey } from './cluster/metrics-survey.ts';
import type { Config } from './config/config.ts';
import type { Log } from './telemetry/log.ts';

/** A worker that lived this long died of something else than its start. */
const STABLE_MS = 10_000;
const LEAST_BACKOFF_MS = 100;
const MOST_BACKOFF_MS = 10_000;
/** From the end of the drain window: requests may take 2 s more, and the log one. */
const END_WITHIN_MS = 3_000;

/**
 * Runs `config.processes` workers, replaces those that die, and passes broadcasts between them. Ends when they have,
 * at the latest three seconds after the drain window that begins when `stop` is aborted. A second SIGINT ends
 * everything at once.
 */
export function runPrimary(
  config: Config,
  env: Readonly<Record<string, string>>,
  stop: AbortController,
  log: Log,
): void {
  // With round-robin, Node's default, a worker that once had no file descriptor left is given no connection any more:
  // the primary waits for it to confirm the one that it lost. So the workers accept for themselves.
  cluster.schedulingPolicy = cluster.SCHED_NONE;
  cluster.setupPrimary({ serialization: 'advanced' });
  const primary = new Primary(config, env, stop, log);

  stop.signal.addEventListener('abort', () => primary.drain(), { once: true });
  process.once('SIGINT', () => {
    process.once('SIGINT', () => {
      for (const worker of Object.values(cluster.workers ?? {})) worker?.process.kill('SIGKILL');
      process.kill(process.pid, 'SIGINT');
    });
  });
  process.on('SIGHUP', () => primary.order('renew certificate'));
  for (let n = 0; n < config.processes; n += 1) primary.fork();
}

class Primary {
  readonly #config: Config;
  readonly #env: Readonly<Record<string, string>>;
  readonly #stop: AbortController;
  readonly #log: Log;
  readonly #workers = new Set<ForkedWorker>();
  readonly #topics = new TopicRouter<ForkedWorker>((worker, message) =>
    worker.sendBatched(message),
  );
  readonly #metrics = new MetricsSurvey(this.#workers);
  #backoffMs = 0;

  constructor(
    config: Config,
    env: Readonly<Record<string, string>>,
    stop: AbortController,
    log: Log,
  ) {
    this.#config = config;
    this.#env = env;
    this.#stop = stop;
    this.#log = log;
  }

  fork(): void {
    let forked: Worker;
    try {
      forked = cluster.fork(this.#env);
    } catch (error) {
      this.#log.error({ err: error }, 'a worker cannot be started');
      this.#forkLater();
      return;
    }
    const worker = new ForkedWorker(forked, maxWaitingBytes(this.#config.maxBodyBytes), this.#log);
    this.#workers.add(worker);
    forked.on('message', (message: FromWorker) => this.#receive(worker, message));
    forked.on('error', (error) => {
      this.#log.error({ err: error }, 'a worker cannot be reached');
      // One that could not be started, for want of processes or file descriptors, has no exit.
      if (worker.pid === undefined) this.#replace(worker, { code: null, signal: null });
    });
    forked.on('exit', (code, signal) => this.#replace(worker, { code, signal }));
  }

  order(order: Order): void {
    for (const worker of this.#workers) worker.order(order);
  }

  drain(): void {
    this.order('drain');
    const timer = setTimeout(() => {
      for (const worker of this.#workers) {
        worker.kill('a worker has not ended within the drain window; it is killed');
      }
    }, this.#config.drainMs + END_WITHIN_MS);
    // The workers keep this process alive, and nothing else does.
    timer.unref();
  }

  #receive(worker: ForkedWorker, message: FromWorker): void {
    switch (message.kind) {
      case 'batch':
        for (const each of message.messages) this.#topics.receive(worker, each);
        return;
      case 'ready':
        worker.becomeReady();
        return;
      case 'own metrics':
        this.#metrics.receive(worker, message.id, message.metrics);
        return;
      case 'metrics request':
        this.#metrics.gather().then(
          (text) => worker.send({ kind: 'metrics', id: message.id, text }, text.length),
          (error) => this.#log.error({ err: error }, 'metrics cannot be added up'),
        );
        return;
    }
  }

  #replace(worker: ForkedWorker, how: { code: number | null; signal: string | null }): void {
    this.#workers.delete(worker);
    this.#topics.forget(worker);
    this.#metrics.forget(worker);
    if (this.#stop.signal.aborted) return;
    if (how.code === EXIT_UNUSABLE) {
      process.exitCode = 1;
      this.#stop.abort();
      return;
    }
    if (performance.now() - worker.startedAt > STABLE_MS) this.#backoffMs = 0;
    const delayMs = this.#forkLater();
    this.#log.error(
      { worker: worker.pid, ...how, delayMs },
      'a worker died; another takes its place',
    );
  }

  /** Returns how much later. */
  #forkLater(): number {
    const doubled = Math.max(this.#backoffMs * 2, LEAST_BACKOFF_MS);
    this.#backoffMs = Math.min(doubled, MOST_BACKOFF_MS);
    // A drain does not wait for workers that are yet to come.
    delay(this.#backoffMs, undefined, { signal: this.#stop.signal }).then(
      () => this.fork(),
      () => {},
    );
    return this.#backoffMs;
  }
}
