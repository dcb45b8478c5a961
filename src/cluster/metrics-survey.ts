import { AggregatorRegistry, type Registry } from 'prom-client';
import type { ForkedWorker } from './forked-worker.ts';
import type { ProcessMetrics } from './messages.ts';

/** Must be shorter than the time for which a worker waits for the sum. */
const ANSWER_TIMEOUT_MS = 1_000;

/** The primary's side of `GET /metrics`: asks all workers for their metrics and adds them up, with its own. */
export class MetricsSurvey {
  readonly #workers: ReadonlySet<ForkedWorker>;
  readonly #own: Registry | undefined;
  #id = 0;
  #awaited = new Set<ForkedWorker>();
  #answers: ProcessMetrics[] = [];
  #finish = () => {};
  #current: Promise<string> | undefined;

  /** `own` has what the primary itself measures. */
  constructor(workers: ReadonlySet<ForkedWorker>, own: Registry | undefined) {
    this.#workers = workers;
    this.#own = own;
  }

  /** Resolves to the sum over this process and all workers that answer within a second. Calls during a survey share its result. */
  collect(): Promise<string> {
    this.#current ??= this.#survey().finally(() => {
      this.#current = undefined;
    });
    return this.#current;
  }

  receive(worker: ForkedWorker, id: number, metrics: ProcessMetrics): void {
    // The answer belongs to an earlier survey and is too late.
    if (id !== this.#id) return;
    this.#answers.push(metrics);
    this.forget(worker);
  }

  /** Stops waiting for a worker. */
  forget(worker: ForkedWorker): void {
    if (this.#awaited.delete(worker) && this.#awaited.size === 0) this.#finish();
  }

  async #survey(): Promise<string> {
    this.#id += 1;
    this.#answers = [];
    // A worker that is still starting could not answer.
    this.#awaited = new Set([...this.#workers].filter(({ isReady }) => isReady));
    const finished = new Promise<void>((resolve) => {
      this.#finish = resolve;
    });
    const timer = setTimeout(this.#finish, ANSWER_TIMEOUT_MS);
    for (const worker of this.#awaited) worker.send({ kind: 'own metrics request', id: this.#id });
    await finished;
    clearTimeout(timer);
    this.#awaited.clear();
    const own = (await this.#own?.getMetricsAsJSON()) ?? [];
    return AggregatorRegistry.aggregate([...this.#answers, own]).metrics();
  }
}
