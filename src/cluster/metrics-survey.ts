import { AggregatorRegistry } from 'prom-client';
import type { ForkedWorker } from './forked-worker.ts';
import type { ProcessMetrics } from './messages.ts';

/** Shorter than a worker waits for the sum. */
const ANSWER_WITHIN_MS = 1_000;

/** Adds up the metrics of all workers; for the primary. */
export class MetricsSurvey {
  readonly #workers: ReadonlySet<ForkedWorker>;
  #id = 0;
  #awaited = new Set<ForkedWorker>();
  #answers: ProcessMetrics[] = [];
  #finish = () => {};
  #current: Promise<string> | undefined;

  constructor(workers: ReadonlySet<ForkedWorker>) {
    this.#workers = workers;
  }

  /** Resolves to the sum over all workers that answer in time. Who asks while one is under way shares it. */
  gather(): Promise<string> {
    this.#current ??= this.#ask().finally(() => {
      this.#current = undefined;
    });
    return this.#current;
  }

  receive(worker: ForkedWorker, id: number, metrics: ProcessMetrics): void {
    // An answer that comes after the deadline.
    if (id !== this.#id) return;
    this.#answers.push(metrics);
    this.forget(worker);
  }

  /** Waits no longer for a worker. */
  forget(worker: ForkedWorker): void {
    if (this.#awaited.delete(worker) && this.#awaited.size === 0) this.#finish();
  }

  async #ask(): Promise<string> {
    this.#id += 1;
    this.#answers = [];
    // One that is still starting could not answer.
    this.#awaited = new Set([...this.#workers].filter(({ isReady }) => isReady));
    const finished = new Promise<void>((resolve) => {
      this.#finish = resolve;
    });
    const timer = setTimeout(this.#finish, ANSWER_WITHIN_MS);
    for (const worker of this.#awaited) worker.send({ kind: 'own metrics request', id: this.#id });
    await finished;
    clearTimeout(timer);
    this.#awaited.clear();
    return AggregatorRegistry.aggregate([...this.#answers]).metrics();
  }
}
