import { type BatchCount, encodeAnswer, encodeBatchAnswer } from './node-messages.ts';
import type { Surveys } from './survey.ts';

/** Tells the nodes what was counted here of their broadcasts and surveys: the others over the bus, this one directly. */
export class Answers {
  readonly #surveys: Surveys;
  readonly #node: string;
  readonly #send: (node: string, text: string) => void;

  /** `node` is the name of this node; `send` sends a text to another, and must not throw. */
  constructor(surveys: Surveys, node: string, send: (node: string, text: string) => void) {
    this.#surveys = surveys;
    this.#node = node;
    this.#send = send;
  }

  /** False if this is an answer to this node itself and does not fit what it has asked. */
  give(node: string, id: number, numbers: readonly number[]): boolean {
    if (node === this.#node) return this.#surveys.addAnswer(id, numbers);
    this.#send(node, encodeAnswer(id, numbers));
    return true;
  }

  /** As `give`, with the counts of a batch. */
  giveCounts(node: string, id: number, counts: readonly BatchCount[]): void {
    if (node === this.#node) this.#surveys.addCounts(id, counts);
    else this.#send(node, encodeBatchAnswer(id, counts));
  }
}
