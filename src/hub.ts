import { encodeFrame, type Frame } from './frame.ts';
import { type Channel, encodeSubscribed } from './protocol.ts';

/** What the hub needs of a connection; a websocket fits, and so does a test double. */
export interface Subscriber {
  /** The channels it has joined. Kept here by the hub, for nobody else to touch. */
  channels?: Channel[] | undefined;
  /** Takes the frame for sending. False when the connection is no longer open and took nothing. Must not throw. */
  deliver(frame: Frame): boolean;
}

/** Who listens to what on this machine. Forgets a channel with its last subscriber. */
export class Hub {
  readonly #subscribersByChannel = new Map<Channel, Set<Subscriber>>();
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
    const further = channels.filter(
      (channel) => !this.#subscribersByChannel.get(channel)?.has(subscriber),
    );
    return (subscriber.channels?.length ?? 0) + new Set(further).size;
  }

  /** Joins the channel and confirms it to the subscriber; joined before, it is confirmed again. */
  subscribe(subscriber: Subscriber, channel: Channel): void {
    const subscribers = this.#subscribersByChannel.get(channel);
    if (!subscribers?.has(subscriber)) {
      if (subscribers === undefined) this.#subscribersByChannel.set(channel, new Set([subscriber]));
      else subscribers.add(subscriber);
      // Most have one, and an array grows by more than that.
      if (subscriber.channels === undefined) subscriber.channels = [channel];
      else subscriber.channels.push(channel);
      this.#subscriptions += 1;
    }
    // In the same step as joining, so that no broadcast comes before the confirmation.
    this.#hand(subscriber, encodeFrame(encodeSubscribed(channel)));
  }

  /** Leaves all channels and returns how many. Safe to call for a subscriber the hub never knew, or twice. */
  remove(subscriber: Subscriber): number {
    const { channels } = subscriber;
    if (channels === undefined) return 0;

    subscriber.channels = undefined;
    this.#subscriptions -= channels.length;
    for (const channel of channels) {
      const subscribers = this.#subscribersByChannel.get(channel);
      subscribers?.delete(subscriber);
      // An empty set left behind would leak one entry for every channel ever seen.
      if (subscribers?.size === 0) this.#subscribersByChannel.delete(channel);
    }
    return channels.length;
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
