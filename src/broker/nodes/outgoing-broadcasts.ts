import type { Publication, PublicationBatch } from '../../protocol/publishing.ts';
import { duplicateOf, encodeResults, sumByEntry } from '../batch-results.ts';
import { BrokerUnavailable, type Published, type PublishedBatch } from '../broker.ts';
import { type Bus, toBusBatch } from '../bus.ts';
import { encodeBatchHead, encodeBroadcast } from './node-messages.ts';
import type { Surveys } from './survey.ts';

/** How long the nodes have to confirm a broadcast, sending it included. */
const PUBLISH_DEADLINE_MS = 2_000;

/** Publishes over the bus and gathers from the nodes to how many sockets it was handed. */
export class OutgoingBroadcasts {
  readonly #bus: Bus;
  readonly #surveys: Surveys;
  readonly #node: string;
  readonly #prefix: string;

  /** `node` is the name of this node, `prefix` what the topics of channels begin with. */
  constructor(bus: Bus, surveys: Surveys, node: string, prefix: string) {
    this.#bus = bus;
    this.#surveys = surveys;
    this.#node = node;
    this.#prefix = prefix;
  }

  /** Rejects with `BrokerUnavailable` when it is not known that the broadcast was sent. */
  async publish(publication: Publication): Promise<Published> {
    if (this.#bus.hasHistory) {
      const batch = { publications: [publication], entrySizes: [1], jti: undefined };
      const { results, isPartial } = await this.publishBatch(batch);
      return { deliveries: results[0] ?? 0, isPartial };
    }
    const { channel, message } = publication;
    const { reached, answers, sums } = await this.#surveys.start(
      1,
      (id) => this.#bus.publish(this.#prefix + channel, encodeBroadcast(this.#node, id, message)),
      PUBLISH_DEADLINE_MS,
    );
    if (reached === undefined) throw new BrokerUnavailable();
    return { deliveries: sums[0] ?? 0, isPartial: answers < reached };
  }

  /** Rejects with `BrokerUnavailable` when it is not known that the batch was sent. */
  async publishBatch(batch: PublicationBatch): Promise<PublishedBatch> {
    const { publications, entrySizes, jti } = batch;
    let isDuplicate = false;
    let position: string | undefined;
    const send = async (id: number) => {
      const head = encodeBatchHead(this.#node, id);
      const outcome = await this.#bus.publishBatch(toBusBatch(batch, head, this.#prefix));
      isDuplicate = outcome === 'duplicate';
      // Nobody was reached, so nobody is waited for.
      if (outcome === 'duplicate') return 0;
      position = outcome.position;
      return outcome.reached;
    };
    const { reached, answers, sums } = await this.#surveys.start(
      publications.length,
      send,
      PUBLISH_DEADLINE_MS,
    );
    if (jti !== undefined && isDuplicate) return duplicateOf(await this.#bus.findAnswer(jti));
    if (reached === undefined) throw new BrokerUnavailable();
    const results = sumByEntry(sums, entrySizes);
    const isPartial = answers < reached;
    const published = { results, isPartial, isDuplicate: false, position };
    if (jti !== undefined) this.#bus.storeAnswer(jti, encodeResults(published));
    return published;
  }
}
