import { DeliveryQueue, type PublicationSink } from '../hub/delivery-queue.ts';
import type { EncodedMessage, Hub, Subscriber } from '../hub/hub.ts';
import type { Channel } from '../protocol/channel.ts';
import type { Publication, PublicationBatch } from '../protocol/publishing.ts';
import { duplicateOf, encodeResults, sumByEntry } from './batch-results.ts';
import {
  type Broker,
  BrokerFull,
  type Published,
  type PublishedBatch,
  type Stats,
} from './broker.ts';
import { type Recovery, type RecoveryRequest, recoverNothing } from './history.ts';
import type { MemoryHistory } from './history-memory.ts';
import { RequestMemory } from './request-memory.ts';

export interface LocalBrokerOptions {
  /** Whether sockets are still to be written with what was handed out in earlier turns of the event loop. */
  readonly isWriting?: () => boolean;
  /** Undefined when nothing is kept. */
  readonly history?: MemoryHistory | undefined;
  /** Called with every publication and how many subscribers took it, in the one order. Must not throw. */
  readonly onPublished?: ((publication: Publication, deliveries: number) => void) | undefined;
}

/** The broker of a single process: its hub has all subscribers. */
export class LocalBroker implements Broker {
  readonly isAvailable = true;
  readonly malformedTexts = 0;
  readonly #hub: Hub;
  readonly #history: MemoryHistory | undefined;
  /** Undefined when nothing is kept. */
  readonly #keeping: KeepingSink | undefined;
  readonly #sink: PublicationSink;
  readonly #queue: DeliveryQueue;
  readonly #requests = new RequestMemory();

  constructor(hub: Hub, { isWriting, history, onPublished }: LocalBrokerOptions = {}) {
    this.#hub = hub;
    this.#history = history;
    this.#keeping = history === undefined ? undefined : new KeepingSink(hub, history);
    const sink = this.#keeping ?? hub;
    this.#sink = onPublished === undefined ? sink : observed(sink, onPublished);
    this.#queue = new DeliveryQueue(this.#sink, isWriting);
  }

  get hasHistory(): boolean {
    return this.#history !== undefined;
  }

  subscribe(subscriber: Subscriber, _: readonly Channel[], onSubscribed: () => void): boolean {
    if (this.#queue.isEmpty) return true;
    this.#queue.subscribe(subscriber, onSubscribed);
    return false;
  }

  recover(
    subscriber: Subscriber,
    request: RecoveryRequest,
    onRecovered: (recovery: Recovery) => void,
  ): void {
    this.#queue.subscribe(subscriber, () => {
      onRecovered(this.#history?.recover(request) ?? recoverNothing(request));
    });
  }

  position(): string | undefined {
    return this.#history?.position();
  }

  unsubscribe(subscriber: Subscriber): void {
    this.#queue.drop(subscriber);
  }

  publish(publication: Publication): Published | Promise<Published> {
    if (this.#queue.isEmpty) {
      return { deliveries: this.#sink.publish(publication), isPartial: false };
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
        const position = this.#positionOf(publications);
        const published = { results, isPartial: false, isDuplicate: false, position };
        if (jti !== undefined) this.#requests.finish(jti, encodeResults(published));
        resolve(published);
      });
    });
  }

  async stats(): Promise<Stats> {
    return this.#hub;
  }

  async close(): Promise<void> {}

  /** To be called when they have just been handed out. */
  #positionOf(publications: readonly Publication[]): string | undefined {
    const isAnyKept = publications.some(({ isKept }) => isKept !== false);
    return isAnyKept && this.#keeping !== undefined ? this.#keeping.last : this.position();
  }
}

/** Gives each publication its position, keeps it and hands it out, in one step. */
class KeepingSink implements PublicationSink {
  /** The position of the last publication that was kept. */
  last: string | undefined;
  readonly #hub: Hub;
  readonly #history: MemoryHistory;

  constructor(hub: Hub, history: MemoryHistory) {
    this.#hub = hub;
    this.#history = history;
  }

  publish(publication: Publication, message?: EncodedMessage): number {
    const position = this.#history.add(publication);
    if (publication.isKept === false) return this.#hub.publish(publication, message);
    this.last = position;
    return this.#hub.publish(publication, message, position);
  }
}

/** A sink that tells what it was given. A server without an observer has none, so that it pays nothing for it. */
function observed(
  sink: PublicationSink,
  onPublished: NonNullable<LocalBrokerOptions['onPublished']>,
): PublicationSink {
  return {
    publish(publication, message) {
      const deliveries = sink.publish(publication, message);
      onPublished(publication, deliveries);
      return deliveries;
    },
  };
}
