import type { Subscriber } from '../hub/hub.ts';
import type { Channel } from '../protocol/channel.ts';
import type { Publication, PublicationBatch } from '../protocol/publishing.ts';
import type { Recovery, RecoveryRequest } from './history.ts';

/** What became of a broadcast. */
export interface Published {
  /** Sockets that the message was handed to, on all nodes that answered in time. */
  readonly deliveries: number;
  /** Whether a node with subscribers did not answer in time: `deliveries` may be too low. */
  readonly isPartial: boolean;
}

/** What became of a batch. */
export interface PublishedBatch {
  /** Sockets that each entry of the batch was handed to. Empty for a duplicate whose first answer is not known. */
  readonly results: readonly number[];
  /** Whether not all nodes with subscribers answered in time: `results` may be too low. */
  readonly isPartial: boolean;
  /** Whether a request with the same `jti` came before. This one was not delivered. */
  readonly isDuplicate: boolean;
  /** The position of the last of them that was kept, or of now. Undefined when it is not known, or nothing is kept. */
  readonly position: string | undefined;
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
  /** Whether broadcasts are kept for clients that come back. */
  readonly hasHistory: boolean;
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
  /**
   * Reads what the subscriber has missed. `onRecovered` is called once, maybe before this returns, in the very step from
   * which on broadcasts are new to the subscriber: it must add the subscription to the hub before it returns. It is given
   * undefined when nothing can be read now. To be called when `subscribe` is done. Not called any more once the
   * subscriber has unsubscribed.
   */
  recover(
    subscriber: Subscriber,
    request: RecoveryRequest,
    onRecovered: (recovery: Recovery | undefined) => void,
  ): void;
  /**
   * Where the one order of broadcasts stands: all up to it has been handed to the subscribers of this node, all that
   * comes is higher. Undefined when nothing is kept, or it is not known now.
   */
  position(): string | undefined;
  /** Ends all subscriptions of the subscriber. Safe to call twice. */
  unsubscribe(subscriber: Subscriber): void;
  /**
   * Rejects with `BrokerUnavailable` when it is not known that the broadcast got through, and throws `BrokerFull` when
   * it cannot be taken now. No promise when it got through at once: promises cost more than handing a message to one
   * socket.
   */
  publish(publication: Publication): Promise<Published> | Published;
  /**
   * Publishes all of them in their order, with nothing of another request in between to any one socket, or none. A `jti`
   * that was seen before is not published again. Rejects like `publish`, which is no first sight unless the batch may
   * have been delivered.
   */
  publishBatch(batch: PublicationBatch): Promise<PublishedBatch>;
  /** The counters of all nodes; of this one alone while the others cannot be asked. */
  stats(): Promise<Stats>;
  close(): Promise<void>;
}

/** The broadcast was not sent, as far as is known: the app server should try again. */
export class BrokerUnavailable extends Error {}

/** More waits to be handed out than is kept. Nothing was published: the app server should try again. */
export class BrokerFull extends Error {}
