import cluster, { type Worker } from 'node:cluster';
import { setTimeout as delay } from 'node:timers/promises';
import { channelTopicsOf } from './broker/bus.ts';
import { tickIntervalMs } from './broker/history.ts';
import { type HistoryFile, restoreHistory } from './broker/history-file/history-file.ts';
import { MemoryHistory } from './broker/history-memory.ts';
import { ForkedWorker } from './cluster/forked-worker.ts';
import {
  EXIT_UNUSABLE,
  type FromWorker,
  maxWaitingBytes,
  type Order,
  PLAYGROUND_KEY_VARIABLE,
} from './cluster/messages.ts';
import { MetricsSurvey } from './cluster/metrics-survey.ts';
import { RestartBackoff } from './cluster/restart-backoff.ts';
import { TopicRouter } from './cluster/topic-router.ts';
import type { Config } from './config/config.ts';
import type { Stop } from './start/stop.ts';
import { createHistoryRegistry } from './telemetry/history-metrics.ts';
import type { Log } from './telemetry/log.ts';

/** What the primary needs of the start. */
export interface PrimaryOptions {
  readonly config: Config;
  /** The whole environment of the workers. */
  readonly env: Readonly<Record<string, string>>;
  /** What opens the playground of every worker; undefined if nothing does. */
  readonly playgroundKey: string | undefined;
  /** Ends the workers and then this process. */
  readonly stop: Stop;
  readonly log: Log;
  /** Called whenever a worker has begun to listen. */
  onListening(port: number): void;
  /** Called again and again during a drain on a terminal, with the websockets of all workers. */
  onConnectionsLeft(count: number): void;
  /** Called once, before this process ends because no worker can run with this configuration. */
  onUnusable(reason: string): void;
}

/** How long after the drain window a worker may take to exit: requests in flight have 2 s, the log has 1 s. */
const EXIT_TIMEOUT_MS = 3_000;

/**
 * Runs `config.processes` workers, replaces those that die, and passes broadcasts between them. When `stop` is aborted
 * the workers drain, and this process exits after them: at the latest three seconds after the drain window. A second
 * SIGINT kills all processes at once.
 */
export async function runPrimary(options: PrimaryOptions): Promise<void> {
  const { config, stop, log } = options;
  // Every worker accepts connections itself. With Node's default, round-robin, a worker that once ran out of file
  // descriptors is never given a connection again: the primary waits forever for it to confirm the one it lost.
  cluster.schedulingPolicy = cluster.SCHED_NONE;
  cluster.setupPrimary({ serialization: 'advanced' });
  let primary: Primary | undefined;

  stop.signal.addEventListener('abort', () => primary?.drain(), { once: true });
  stop.beforeEnd = () => {
    for (const worker of Object.values(cluster.workers ?? {})) worker?.process.kill('SIGKILL');
  };
  // Without a certificate SIGHUP keeps its default and ends this process, as it ends a single process.
  if (config.tls !== undefined) process.on('SIGHUP', () => primary?.order('renew certificate'));
  const historyFile = await restoreHistory(config, log);
  if (stop.signal.aborted) return;
  primary = new Primary(options, historyFile);
  for (let n = 0; n < config.processes; n += 1) primary.fork();
}

class Primary {
  readonly #options: PrimaryOptions;
  readonly #config: Config;
  readonly #stop: Stop;
  readonly #log: Log;
  readonly #workers = new Set<ForkedWorker>();
  readonly #topics: TopicRouter<ForkedWorker>;
  readonly #metrics: MetricsSurvey;
  readonly #historyFile: HistoryFile | undefined;
  readonly #backoff = new RestartBackoff();
  /** What workers that drain have told last. */
  readonly #connectionsLeft = new Map<ForkedWorker, number>();
  #isUnusable = false;

  constructor(options: PrimaryOptions, historyFile: HistoryFile | undefined) {
    const { config, stop, log } = options;
    this.#options = options;
    this.#config = config;
    this.#stop = stop;
    this.#log = log;
    this.#historyFile = historyFile;
    const history =
      config.history === 'memory' ? (historyFile?.history ?? new MemoryHistory(config)) : undefined;
    const channelTopics = channelTopicsOf(config.brokerPrefix);
    this.#topics = new TopicRouter(
      (worker, message) => worker.sendBatched(message),
      history && { history, channelTopics },
    );
    this.#metrics = new MetricsSurvey(this.#workers, history && createHistoryRegistry(history));
    if (history !== undefined) {
      const timer = setInterval(() => this.#topics.tick(), tickIntervalMs(config.historyMs));
      // Only the workers may keep this process alive.
      timer.unref();
    }
  }

  fork(): void {
    const { env, playgroundKey = '' } = this.#options;
    let forked: Worker;
    try {
      forked = cluster.fork({ ...env, [PLAYGROUND_KEY_VARIABLE]: playgroundKey });
    } catch (error) {
      this.#log.error({ err: error }, 'worker could not be started, retrying');
      this.#forkLater(0);
      return;
    }
    const worker = new ForkedWorker(forked, maxWaitingBytes(this.#config.maxBodyBytes), this.#log);
    this.#workers.add(worker);
    forked.on('message', (message: FromWorker) => this.#receive(worker, message));
    forked.on('error', (error) => {
      this.#log.error({ err: error }, 'worker process or its channel failed');
      // A worker that could not be started (no process or file descriptor left) emits no 'exit'.
      if (worker.pid === undefined) this.#replace(worker, { code: null, signal: null });
    });
    // The port is bound. Whatever this worker is sent from now on, its broadcasts come after this.
    forked.on('listening', ({ port }) => {
      this.#claimHistory();
      this.#options.onListening(port);
    });
    forked.on('exit', (code, signal) => this.#replace(worker, { code, signal }));
  }

  order(order: Order): void {
    for (const worker of this.#workers) worker.order(order);
  }

  drain(): void {
    this.order('drain');
    this.#saveHistory();
    const timer = setTimeout(() => {
      for (const worker of this.#workers) {
        worker.kill('worker did not exit within the drain window, killing it');
      }
    }, this.#config.drainMs + EXIT_TIMEOUT_MS);
    // Only the workers may keep this process alive.
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
        this.#metrics.collect().then(
          (text) => worker.send({ kind: 'metrics', id: message.id, text }, text.length),
          (error) =>
            this.#log.error({ err: error }, 'metrics of the workers could not be added up'),
        );
        return;
      case 'connections left':
        this.#connectionsLeft.set(worker, message.count);
        this.#reportConnectionsLeft();
        return;
      case 'unusable':
        // Every worker says the same.
        if (!this.#isUnusable) this.#options.onUnusable(message.reason);
        this.#isUnusable = true;
        return;
    }
  }

  /** Does nothing before each worker that is left has told how many it has. */
  #reportConnectionsLeft(): void {
    const counts = [...this.#connectionsLeft.values()];
    if (counts.length < this.#workers.size) return;
    this.#options.onConnectionsLeft(counts.reduce((total, count) => total + count, 0));
  }

  #claimHistory(): void {
    this.#historyFile?.claim();
    // If it could not be claimed there is a new epoch.
    this.#topics.tick();
  }

  /** Does nothing while there is a worker: it may still broadcast. */
  #saveHistory(): void {
    if (this.#workers.size === 0) void this.#historyFile?.save();
  }

  #replace(worker: ForkedWorker, how: { code: number | null; signal: string | null }): void {
    this.#workers.delete(worker);
    this.#connectionsLeft.delete(worker);
    this.#topics.forget(worker);
    this.#metrics.forget(worker);
    if (this.#stop.signal.aborted) {
      this.#saveHistory();
      return;
    }
    if (how.code === EXIT_UNUSABLE) {
      process.exitCode = 1;
      this.#stop.abort();
      return;
    }
    const delayMs = this.#forkLater(performance.now() - worker.startedAt);
    this.#log.error({ worker: worker.pid, ...how, delayMs }, 'worker died, starting another');
  }

  /** Starts a worker in place of one that lived so long, after a delay, which it returns in milliseconds. */
  #forkLater(livedMs: number): number {
    const delayMs = this.#backoff.next(livedMs);
    // A drain must not wait for this timer.
    delay(delayMs, undefined, { signal: this.#stop.signal }).then(
      () => this.fork(),
      () => {},
    );
    return delayMs;
  }
}
