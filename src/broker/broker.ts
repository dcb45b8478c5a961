import type { Hub, Subscriber } from '../hub/hub.ts';
import type { Channel } from '../protocol/channel.ts';
import type { Broadcast } from '../protocol/claims.ts';

/** What became of a broadcast. */
export interface Published {
  /** Sockets that the message was handed to, on all nodes that said so in time. */
  readonly deliveries: number;
  /** Whether a node that has listeners did not say so in time: `deliveries` may be too low. */
  readonly isPartial: boolean;
}

/** The counters of `GET /info.json`. */
export interface Stats {
  readonly deliveries: number;
  readonly subscriptions: number;
}

/** Carries broadcasts to every subscriber, whichever process or machine it is connected to. */
export interface Broker {
  /** Whether broadcasts get through. */
  readonly isAvailable: boolean;
  /** Texts that came from other processes, could not be of our nodes, and were dropped. */
  readonly malformedTexts: number;
  /**
   * Asks for the channels' broadcasts on behalf of a subscriber of this node. True when every broadcast posted from now
   * on arrives here. Else `onJoined` is called at that moment, never before this returns; it waits for a broker that is
   * away, and is not called any more once the subscriber has left.
   */
  join(subscriber: Subscriber, channels: readonly Channel[], onJoined: () => void): boolean;
  /** Takes back all that the subscriber asked for. Safe to call twice. */
  leave(subscriber: Subscriber): void;
  /**
   * Rejects with `BrokerUnavailable` when it is not known that the broadcast got through. No promise when it got
   * through at once: promises cost more than handing a message to one socket.
   */
  publish(broadcast: Broadcast): Promise<Published> | Published;
  /** The counters of all nodes; of this one alone while the others cannot be asked. */
  stats(): Promise<Stats>;
  close(): Promise<void>;
}

/** The broadcast was not sent, as far as is known: the app server should try again. */
export class BrokerUnavailable extends Error {}

/** The broker of a single process: its own hub has all the subscribers there are. */
export class LocalBroker implements Broker {
  readonly isAvailable = true;
  readonly malformedTexts = 0;
  readonly #hub: Hub;

  constructor(hub: Hub) {
    this.#hub = hub;
  }

  join(): boolean {
    return true;
  }

  leave(): void {}

  publish({ channel, message }: Broadcast): Published {
    return { deliveries: this.#hub.publish(channel, message), isPartial: false };
  }

  async stats(): Promise<Stats> {
    return this.#hub;
  }

  async close(): Promise<void> {}
}
