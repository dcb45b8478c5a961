import type { DeliveryQueue, PublicationSink } from '../../hub/delivery-queue.ts';
import type { Channel } from '../../protocol/channel.ts';
import type { Publication } from '../../protocol/publishing.ts';
import type { Answers } from './answers.ts';
import { BatchCounts } from './batch-counts.ts';
import { parseBroadcast } from './node-messages.ts';

/** Hands what comes over the bus to this node's subscribers, and answers the node that published it. */
export class IncomingBroadcasts {
  readonly #sink: PublicationSink;
  readonly #queue: DeliveryQueue;
  readonly #answers: Answers;
  readonly #counts: BatchCounts;
  readonly #onWithoutHistory: (() => void) | undefined;

  /**
   * `sink` is where the queue hands publications to. `onWithoutHistory` is called for every broadcast that was not
   * published through a history in Redis.
   */
  constructor(
    sink: PublicationSink,
    queue: DeliveryQueue,
    answers: Answers,
    onWithoutHistory?: (() => void) | undefined,
  ) {
    this.#sink = sink;
    this.#onWithoutHistory = onWithoutHistory;
    this.#queue = queue;
    this.#answers = answers;
    this.#counts = new BatchCounts((node, id, counts) => answers.giveCounts(node, id, counts));
  }

  /** False when no node of ours can have sent the text. */
  receive(channel: Channel, text: string): boolean {
    const broadcast = parseBroadcast(text);
    if (broadcast === undefined) return false;
    const { node, id, message } = broadcast;
    if (!broadcast.isFromHistory) this.#onWithoutHistory?.();
    if ('index' in broadcast) {
      const { index, position } = broadcast;
      const publication = { channel, message, position };
      this.#enqueue(publication, (deliveries) => this.#counts.add(node, id, { index, deliveries }));
      return true;
    }
    const publication = { channel, message };
    if (this.#queue.isEmpty) {
      return this.#answers.give(node, id, [this.#sink.publish(publication)]);
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
