import type { Bus } from './bus.ts';
import { type BatchCount, encodeAnswer, encodeBatchAnswer } from './node-messages.ts';
import type { Surveys } from './survey.ts';

/** Tells the nodes what was counted here of their broadcasts and surveys: the others over the bus, this one directly. */
export class Answers {
  readonly #bus: Bus;
  readonly #surveys: Surveys;
  readonly #node: string;
  readonly #nodeTopics: string;

  /** `node` is the name of this node, `nodeTopics` what the topics of nodes begin with. */
  constructor(bus: Bus, surveys: Surveys, node: string, nodeTopics: string) {
    this.#bus = bus;
    this.#surveys = surveys;
    this.#node = node;
    this.#nodeTopics = nodeTopics;
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

  #send(node: string, text: string): void {
    // If the bus is lost now, so is the answer. The bus reports its loss, and the node that asked has a deadline.
    this.#bus.publish(this.#nodeTopics + node, text).catch(() => {});
  }
}
