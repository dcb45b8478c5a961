import type { Hub, Subscriber } from '../hub/hub.ts';
import type { Channel } from '../protocol/channel.ts';
import type { Publication } from '../protocol/claims.ts';

/** What became of a broadcast. */
export interface Published {
  /** Sockets that the message was handed to, on all nodes that answered in time. */
  readonly deliveries: number;
  /** Whether a node with subscribers did not answer in time: `deliveries` may be too low. */
  readonly isPartial: boolean;
}

/** The counters of `GET /info.json`. */
export interface Stats {
  readonly deliveries: number;
  readonly subscriptions: number;
}

/** Carries broadcasts to every subscriber, whichever process or machine it is connected to. */
export interface Broker {
  /** Whether broadcasts reach all nodes. */
  readonly isAvailable: boolean;
  /** Texts from the bus that no node of ours can have written. They were dropped. */
  readonly malformedTexts: number;
  /**
   * Asks for the channels' broadcasts on behalf of a subscriber of this node. True when every broadcast posted from now
   * on arrives here. Else `onSubscribed` is called at that moment, never before this returns; it waits for a broker that is
   * away, and is not called any more once the subscriber has unsubscribed.
   */
  subscribe(
    subscriber: Subscriber,
    channels: readonly Channel[],
    onSubscribed: () => void,
  ): boolean;
  /** Ends all subscriptions of the subscriber. Safe to call twice. */
  unsubscribe(subscriber: Subscriber): void;
  /**
   * Rejects with `BrokerUnavailable` when it is not known that the broadcast got through. No promise when it got
   * through at once: promises cost more than handing a message to one socket.
   */
  publish(publication: Publication): Promise<Published> | Published;
  /** The counters of all nodes; of this one alone while the others cannot be asked. */
  stats(): Promise<Stats>;
  close(): Promise<void>;
}

/** The broadcast was not sent, as far as is known: the app server should try again. */
export class BrokerUnavailable extends Error {}

/** The broker of a single process: its hub has all subscribers. */
export class LocalBroker implements Broker {
  readonly isAvailable = true;
  readonly malformedTexts = 0;
  readonly #hub: Hub;

  constructor(hub: Hub) {
    this.#hub = hub;
  }

  subscribe(): boolean {
    return true;
  }

  unsubscribe(): void {}

  publish(publication: Publication): Published {
    return { deliveries: this.#hub.publish(publication), isPartial: false };
  }

  async stats(): Promise<Stats> {
    return this.#hub;
  }

  async close(): Promise<void> {}
}
