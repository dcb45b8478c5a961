import { DeliveryQueue } from '../hub/delivery-queue.ts';
import type { Hub, Subscriber } from '../hub/hub.ts';
import type { Channel } from '../protocol/channel.ts';
import type { Publication, PublicationBatch } from '../protocol/publishing.ts';
import {
  type Broker,
  BrokerFull,
  duplicateOf,
  type Published,
  type PublishedBatch,
  type Stats,
  sumByEntry,
} from './broker.ts';
import { encodeResults } from './node-messages.ts';
import { RequestMemory } from './request-memory.ts';

/** The broker of a single process: its hub has all subscribers. */
export class LocalBroker implements Broker {
  readonly isAvailable = true;
  readonly malformedTexts = 0;
  readonly #hub: Hub;
  readonly #queue: DeliveryQueue;
  readonly #requests = new RequestMemory();

  constructor(hub: Hub, queue = new DeliveryQueue(hub)) {
    this.#hub = hub;
    this.#queue = queue;
  }

  subscribe(subscriber: Subscriber, _: readonly Channel[], onSubscribed: () => void): boolean {
    if (this.#queue.isEmpty) return true;
    this.#queue.subscribe(subscriber, onSubscribed);
    return false;
  }

  unsubscribe(subscriber: Subscriber): void {
    this.#queue.drop(subscriber);
  }

  publish(publication: Publication): Published | Promise<Published> {
    if (this.#queue.isEmpty) {
      return { deliveries: this.#hub.publish(publication), isPartial: false };
    }
    if (this.#queue.isFull) throw new BrokerFull();
    return new Promise((resolve) => {
      this.#queue.publish([publication], ([deliveries = 0]) =>
        resolve({ deliveries, isPartial: false }),
      );
    });
  }

  async publishBatch({ publications, entrySizes, jti }: PublicationBatch): Promise<PublishedBatch> {
    if (jti !== undefined && this.#requests.has(jti)) {
      return duplicateOf(await this.#requests.find(jti));
    }
    if (this.#queue.isFull) throw new BrokerFull();
    if (jti !== undefined) this.#requests.begin(jti);
    return new Promise((resolve) => {
      this.#queue.publish(publications, (deliveries) => {
        const results = sumByEntry(deliveries, entrySizes);
        const published = { results, isPartial: false, isDuplicate: false };
        if (jti !== undefined) this.#requests.finish(jti, encodeResults(published));
        resolve(published);
      });
    });
  }

  async stats(): Promise<Stats> {
    return this.#hub;
  }

  async close(): Promise<void> {}
}
