import type { DeliveryQueue } from '../hub/delivery-queue.ts';
import type { Hub } from '../hub/hub.ts';
import type { Channel } from '../protocol/channel.ts';
import type { Publication } from '../protocol/publishing.ts';
import type { Answers } from './answers.ts';
import { BatchCounts } from './batch-counts.ts';
import { parseBroadcast } from './node-messages.ts';

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
    this.#counts = new BatchCounts((node, id, counts) => answers.giveCounts(node, id, counts));
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
      return this.#answers.give(node, id, [this.#hub.publish(publication)]);
    }
    this.#enqueue(publication, (deliveries) => this.#answers.give(node, id, [deliveries]));
    return true;
  }

  #enqueue(publication: Publication, onDone: (deliveries: number) => void): void {
    // What comes over the bus cannot be refused. Handing it out in this turn holds up the bus, and so its publishers.
    this.#queue.relieve();
    this.#queue.publish([publication], ([deliveries = 0]) => onDone(deliveries));
  }
}
