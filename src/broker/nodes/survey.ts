import { BrokerUnavailable } from '../broker.ts';
import { type BatchCount, parseAnswer, parseBatchAnswer } from './node-messages.ts';

/** Surveys that are open at a time. More mean that the bus does not keep up. */
const MAX_SURVEYS = 10_000;

/** What came of a survey: every node that was reached answers with numbers, which are added up. */
export interface SurveyResult {
  /** How many nodes the request was handed to. Undefined when that is not known. */
  readonly reached: number | undefined;
  /** Of a batch: how many of its broadcasts were answered, added up over the nodes. */
  readonly answers: number;
  readonly sums: readonly number[];
}

interface Survey {
  reached: number | undefined;
  answers: number;
  readonly sums: number[];
  readonly settle: () => void;
}

/** The surveys of one node that wait for answers. */
export class Surveys {
  readonly #open = new Map<number, Survey>();
  #lastId = 0;

  /**
   * `send` sends the request and resolves to how many nodes it was handed to; each answers with `size` numbers.
   * Resolves when all of them have answered, or at the deadline with what is there by then. Rejects with
   * `BrokerUnavailable`, without sending, when too many are open.
   */
  start(
    size: number,
    send: (id: number) => Promise<number>,
    deadlineMs: number,
  ): Promise<SurveyResult> {
    if (this.#open.size >= MAX_SURVEYS) return Promise.reject(new BrokerUnavailable());
    this.#lastId += 1;
    const id = this.#lastId;

    return new Promise((resolve) => {
      const settle = () => {
        clearTimeout(timer);
        this.#open.delete(id);
        resolve(survey);
      };
      const timer = setTimeout(settle, deadlineMs);
      const sums = new Array<number>(size).fill(0);
      const survey: Survey = { reached: undefined, answers: 0, sums, settle };
      this.#open.set(id, survey);
      send(id).then((reached) => {
        survey.reached = reached;
        // Answers may be here before the count of those who will give one.
        if (survey.answers >= reached) settle();
      }, settle);
    });
  }

  /**
   * Adds what one node has counted of a batch, of which `reached` counts each broadcast for each node. One that comes
   * after the deadline is ignored. False when it does not fit the request.
   */
  addCounts(id: number, counts: readonly BatchCount[]): boolean {
    const survey = this.#open.get(id);
    if (survey === undefined) return true;
    const { sums } = survey;
    if (counts.some(({ index }) => index >= sums.length)) return false;

    for (const { index, deliveries } of counts) sums[index] = (sums[index] ?? 0) + deliveries;
    survey.answers += counts.length;
    if (survey.reached !== undefined && survey.answers >= survey.reached) survey.settle();
    return true;
  }

  /** Adds what a node has answered. False when no node of ours can have written the text. */
  receive(text: string): boolean {
    const answer = parseAnswer(text);
    if (answer !== undefined) return this.addAnswer(answer.id, answer.numbers);
    const batch = parseBatchAnswer(text);
    return batch !== undefined && this.addCounts(batch.id, batch.counts);
  }

  /** Settles all that are open with what is there. */
  close(): void {
    for (const survey of this.#open.values()) survey.settle();
  }

  /** Adds one node's answer; one that comes after the deadline is ignored. False when it does not fit the request. */
  addAnswer(id: number, numbers: readonly number[]): boolean {
    const survey = this.#open.get(id);
    if (survey === undefined) return true;
    const { sums } = survey;
    if (numbers.length !== sums.length) return false;

    survey.answers += 1;
    numbers.forEach((number, index) => {
      sums[index] = (sums[index] ?? 0) + number;
    });
    if (survey.answers === survey.reached) survey.settle();
    return true;
  }
}
