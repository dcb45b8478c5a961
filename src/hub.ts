import { encodeFrame, type Frame } from './frame.ts';
import { type Channel, encodeSubscribed } from './protocol.ts';

/** What the hub needs of a connection; a websocket fits, and so does a test double. */
export interface Subscriber {
  /** Takes the frame for sending. False when the connection is no longer open and took nothing. Must not throw. */
  deliver(frame: Frame): boolean;
}

/** Who listens to what on this machine. Forgets a channel with its last subscriber. */
export class Hub {
  readonly #subscribersByChannel = new Map<Channel, Set<Subscriber>>();
  readonly #channelsBySubscriber = new Map<Subscriber, Set<Channel>>();
  #deliveries = 0;
  #subscriptions = 0;

  /** Frames handed to subscribers so far, confirmations included. */
  get deliveries(): number {
    return this.#deliveries;
  }

  /** Subscribed pairs of subscriber and channel. */
  get subscriptions(): number {
    return this.#subscriptions;
  }

  /** Channels that have a subscriber. */
  get channels(): number {
    return this.#subscribersByChannel.size;
  }

  /** How many distinct channels the subscriber would be on if it joined these too. */
  countWith(subscriber: Subscriber, channels: readonly Channel[]): number {
    const held = this.#channelsBySubscriber.get(subscriber);
    if (held === undefined) return new Set(channels).size;
    return held.size + new Set(channels.filter((channel) => !held.has(channel))).size;
  }

  /** Joins the channel and confirms it to the subscriber; joined before, it is confirmed again. */
  subscribe(subscriber: Subscriber, channel: Channel): void {
    const subscribers = getOrAdd(this.#subscribersByChannel, channel);
    if (!subscribers.has(subscriber)) {
      subscribers.add(subscriber);
      getOrAdd(this.#channelsBySubscriber, subscriber).add(channel);
      this.#subscriptions += 1;
    }
    // In the same step as joining, so that no broadcast comes before the confirmation.
    this.#hand(subscriber, encodeFrame(encodeSubscribed(channel)));
  }

  /** Leaves all channels and returns how many. Safe to call for a subscriber the hub never knew, or twice. */
  remove(subscriber: Subscriber): number {
    const channels = this.#channelsBySubscriber.get(subscriber);
    if (channels === undefined) return 0;

    this.#channelsBySubscriber.delete(subscriber);
    this.#subscriptions -= channels.size;
    for (const channel of channels) {
      const subscribers = this.#subscribersByChannel.get(channel);
      subscribers?.delete(subscriber);
      // An empty set left behind would leak one entry for every channel ever seen.
      if (subscribers?.size === 0) this.#subscribersByChannel.delete(channel);
    }
    return channels.size;
  }

  /** Hands the text to every subscriber of the channel and returns how many took it. */
  publish(channel: Channel, text: string): number {
    const subscribers = this.#subscribersByChannel.get(channel);
    if (subscribers === undefined) return 0;

    const frame = encodeFrame(text);
    let taken = 0;
    for (const subscriber of subscribers) {
      if (this.#hand(subscriber, frame)) taken += 1;
    }
    return taken;
  }

  #hand(subscriber: Subscriber, frame: Frame): boolean {
    const taken = subscriber.deliver(frame);
    if (taken) this.#deliveries += 1;
    return taken;
  }
}

function getOrAdd<K, V>(sets: Map<K, Set<V>>, key: K): Set<V> {
  let set = sets.get(key);
  if (set === undefined) {
    set = new Set();
    sets.set(key, set);
  }
  return set;
}
