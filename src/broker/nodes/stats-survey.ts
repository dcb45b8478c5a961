import type { Stats } from '../broker.ts';
import type { Surveys } from './survey.ts';

/** How long the nodes have to tell their counters, and how old an answer may be that is given again. */
const DEADLINE_MS = 500;
const MAX_AGE_MS = 1_000;

/** Asks all nodes for their counters and adds them up. */
export class StatsSurvey {
  readonly #surveys: Surveys;
  readonly #own: Stats;
  readonly #send: (id: number) => Promise<number>;
  #latest: { readonly stats: Promise<Stats>; readonly at: number } | undefined;

  /** `own` are the counters of this node; `send` sends the request and resolves to how many nodes it reached. */
  constructor(surveys: Surveys, own: Stats, send: (id: number) => Promise<number>) {
    this.#surveys = surveys;
    this.#own = own;
    this.#send = send;
  }

  /** Resolves to the counters of all nodes, up to a second old; to this node's own if the others cannot be asked. */
  read(canAsk: boolean): Promise<Stats> {
    const now = performance.now();
    if (this.#latest === undefined || now - this.#latest.at >= MAX_AGE_MS) {
      this.#latest = { stats: canAsk ? this.#gather() : Promise.resolve(this.#own), at: now };
    }
    return this.#latest.stats;
  }

  async #gather(): Promise<Stats> {
    try {
      const { answers, sums } = await this.#surveys.start(2, this.#send, DEADLINE_MS);
      const [deliveries = 0, subscriptions = 0] = sums;
      return answers === 0 ? this.#own : { deliveries, subscriptions };
    } catch {
      // Too many surveys are open: the others cannot be asked now.
      return this.#own;
    }
  }
}
