import type { DeliveryQueue } from '../hub/delivery-queue.ts';
import type { Hub } from '../hub/hub.ts';
import type { Channel } from '../protocol/channel.ts';
import type { Publication } from '../protocol/publishing.ts';
import { BatchCounts } from './batch-counts.ts';
import { type BatchCount, parseBroadcast } from './node-messages.ts';

/** How a node is told to how many sockets its broadcasts were handed here. */
export interface Answers {
  /** False when a text in our own name belongs to nothing that we have published. */
  readonly answer: (node: string, id: number, deliveries: number) => boolean;
  readonly answerBatch: (node: string, id: number, counts: readonly BatchCount[]) => void;
}

/** Hands what comes over the bus to this node's subscribers, and answers the node that published it. */
export class IncomingBroadcasts {
  readonly #hub: Hub;
  readonly #queue: DeliveryQueue;
  readonly #answers: Answers;
  readonly #counts: BatchCounts;

  constructor(hub: Hub, queue: DeliveryQueue, answers: Answers) {
    this.#hub = hub;
    this.#queue = queue;
    this.#answers = answers;
    this.#counts = new BatchCounts(answers.answerBatch);
  }

  /** False when no node of ours can have sent the text. */
  receive(channel: Channel, text: string): boolean {
    const broadcast = parseBroadcast(text);
    if (broadcast === undefined) return false;
    const { node, id, message } = broadcast;
    const publication = { channel, message };
    if ('index' in broadcast) {
      const { index } = broadcast;
      this.#enqueue(publication, (deliveries) => this.#counts.add(node, id, { index, deliveries }));
      return true;
    }
    if (this.#queue.isEmpty) {
      return this.#answers.answer(node, id, this.#hub.publish(publication));
    }
    this.#enqueue(publication, (deliveries) => this.#answers.answer(node, id, deliveries));
    return true;
  }

  #enqueue(publication: Publication, onDone: (deliveries: number) => void): void {
    // What comes over the bus cannot be refused. Handing it out in this turn holds up the bus, and so its publishers.
    this.#queue.relieve();
    this.#queue.publish([publication], ([deliveries = 0]) => onDone(deliveries));
  }
}
