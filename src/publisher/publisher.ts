import { type Broadcast, checkChannels, createEncoder, type Message } from './broadcast.ts';
import { createDispatcher } from './dispatcher.ts';
import { check } from './error.ts';
import { MAX_PAIRS } from './limits.ts';
import type { PublishedBroadcast } from './queue.ts';
import { createSigner } from './sign.ts';

/** `undefined` is in the types so that environment variables fit; without a URL or a secret the constructor throws. */
export interface PublisherOptions {
  /** Where the server is, such as `https://bifrost.example.com`, maybe with a path. */
  readonly url: string | undefined;
  /** The server's `JWT_SECRET`. */
  readonly secret: string | undefined;
  /**
   * The server's `MAX_CHANNEL_LENGTH`, in UTF-16 units: longer names are refused before they are sent. Default: none,
   * the server refuses them.
   */
  readonly maxChannelLength?: number | undefined;
  /**
   * False for servers that do not know batches, such as the Crystal original: every message is a request of its own
   * to one channel, and a request that may have arrived is not sent again. Default: true.
   */
  readonly batch?: boolean | undefined;
}

export interface PublishOptions {
  /**
   * Ends the call when it is aborted. A message that still waits will not be sent. One that is under way may be
   * delivered; others that travel with it are not affected.
   */
  readonly signal?: AbortSignal | undefined;
}

export interface SubscriptionTokenOptions {
  /** How long the token may be used, in whole seconds. A connection outlives it. Default: 60. */
  readonly expiresIn?: number | undefined;
}

/**
 * Publishes messages, and signs tokens for those who are to receive them. It holds the secret: it is for app servers,
 * never for browsers. Make one and keep it. Its functions need no `this`.
 *
 * Calls of one turn of the event loop travel together, so `await Promise.all(users.map((user) => publish(…)))` is the
 * fast way to publish much. Messages to one channel are delivered in the order of the calls.
 *
 * What fails for want of an answer, or with 502, 503 or 504, is sent again until the call is 30 s old, in such a way
 * that the server delivers it once. All errors are of the class `BifrostError`.
 */
export class BifrostPublisher {
  /**
   * Sends a message to all subscribers of a channel; resolves when the server has handed it to them.
   *
   * ```ts
   * const { deliveries } = await bifrost.publish('user:1', { event: 'greeting', data: 'Hello' });
   * ```
   */
  declare readonly publish: (
    channel: string,
    message: Message,
    options?: PublishOptions & Pick<Broadcast, 'history'>,
  ) => Promise<PublishedBroadcast>;

  /**
   * Sends several broadcasts; resolves to their results in the same order. It checks them all before it sends any.
   * After that it is not all or nothing: it rejects with the first error, and the others go on. Call `publish` for each
   * to learn what became of each.
   */
  declare readonly publishAll: (
    broadcasts: readonly Broadcast[],
    options?: PublishOptions,
  ) => Promise<PublishedBroadcast[]>;

  /** A token with which a browser may subscribe to these channels. */
  declare readonly subscriptionToken: (
    channels: readonly string[],
    options?: SubscriptionTokenOptions,
  ) => Promise<string>;

  /** Throws a `BifrostError` when an option is missing or wrong. */
  constructor({ url, secret, maxChannelLength, batch = true }: PublisherOptions) {
    check(/^https?:\/\/[^?#@]+$/.test(url as string), 'url');
    check(secret, 'secret');
    const sign = createSigner(secret as string);
    const endpoint = (url as string).replace(/\/?$/, '/broadcast');
    this.publishAll = createDispatcher(
      createEncoder(maxChannelLength, batch ? MAX_PAIRS : 1),
      endpoint,
      sign,
      batch,
    );
    this.publish = async (channel, message, options) =>
      (await this.publishAll([{ ...options, channel, message }], options))[0] as PublishedBroadcast;
    this.subscriptionToken = async (list, { expiresIn = 60 } = {}) => {
      const channels = checkChannels(list, maxChannelLength);
      check(expiresIn > 0, 'expiresIn');
      return sign(JSON.stringify({ channels }).slice(1), expiresIn);
    };
  }
}
