import type { Channel } from '../protocol/channel.ts';
import { encodeSubscribed } from '../protocol/messages.ts';
import type { Publication } from '../protocol/publishing.ts';
import { encodeFrame, type Frame } from './frame.ts';

/** Subscribers that are sent the same bytes. */
export interface Kind {
  /** Returns the frame that they are sent in place of the plain one. Called once a broadcast that reaches one of them. */
  encode(frame: Frame): Frame;
}

/** What the hub needs of a connection; a websocket fits, and so does a test double. */
export interface Subscriber {
  /** Undefined for those who are sent the plain frame. Must not change while it is subscribed. */
  readonly kind?: Kind | undefined;
  /** The channels it is subscribed to. Set by the hub, which needs no map from subscribers to channels then. */
  channels?: Channel[] | undefined;
  /** Takes the frame for sending. False when the connection is no longer open and took nothing. Must not throw. */
  deliver(frame: Frame): boolean;
}

/** The subscribers of one kind. A channel that none of them is on has no entry. */
interface Group {
  readonly kind: Kind | undefined;
  readonly subscribersByChannel: Map<Channel, Set<Subscriber>>;
}

/** The frames of one message, each made when the first subscriber of its kind is there. */
export class EncodedMessage {
  readonly text: string;
  #plain: Frame | undefined;
  #byKind: Map<Kind, Frame> | undefined;

  constructor(text: string) {
    this.text = text;
  }

  frameFor(kind: Kind | undefined): Frame {
    this.#plain ??= encodeFrame(this.text);
    if (kind === undefined) return this.#plain;
    let frame = this.#byKind?.get(kind);
    if (frame === undefined) {
      frame = kind.encode(this.#plain);
      this.#byKind ??= new Map();
      this.#byKind.set(kind, frame);
    }
    return frame;
  }
}

/** The subscriptions of this process. A channel is forgotten with its last subscriber. */
export class Hub {
  // One group a kind, so that a broadcast is handed out kind by kind. If kinds alternated, the batch tree, which
  // remembers one continuation, would join the bytes anew for every socket.
  readonly #groups: Group[] = [{ kind: undefined, subscribersByChannel: new Map() }];
  #channels = 0;
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
    return this.#channels;
  }

  isSubscribed(subscriber: Subscriber, channel: Channel): boolean {
    const { subscribersByChannel } = this.#groupOf(subscriber);
    return subscribersByChannel.get(channel)?.has(subscriber) ?? false;
  }

  /** How many distinct channels the subscriber would have if it subscribed to these too. */
  countWith(subscriber: Subscriber, channels: readonly Channel[]): number {
    const further = channels.filter((channel) => !this.isSubscribed(subscriber, channel));
    return (subscriber.channels?.length ?? 0) + new Set(further).size;
  }

  /** Adds the subscription and confirms it to the subscriber. One that exists already is confirmed again. */
  subscribe(subscriber: Subscriber, channel: Channel): void {
    const { subscribersByChannel } = this.#groupOf(subscriber);
    const subscribers = subscribersByChannel.get(channel);
    if (!subscribers?.has(subscriber)) {
      if (subscribers === undefined) {
        if (!this.#hasSubscribers(channel)) this.#channels += 1;
        subscribersByChannel.set(channel, new Set([subscriber]));
      } else {
        subscribers.add(subscriber);
      }
      // Most subscribers have one channel. `push` on an empty array would reserve room for several.
      if (subscriber.channels === undefined) subscriber.channels = [channel];
      else subscriber.channels.push(channel);
      this.#subscriptions += 1;
    }
    // In the same step as subscribing, so that no broadcast comes before the confirmation.
    this.#hand(subscriber, encodeFrame(encodeSubscribed(channel)));
  }

  /** Ends all subscriptions and returns how many. Safe to call for a subscriber the hub never knew, or twice. */
  unsubscribe(subscriber: Subscriber): number {
    const { channels } = subscriber;
    if (channels === undefined) return 0;

    subscriber.channels = undefined;
    this.#subscriptions -= channels.length;
    const { subscribersByChannel } = this.#groupOf(subscriber);
    for (const channel of channels) {
      const subscribers = subscribersByChannel.get(channel);
      subscribers?.delete(subscriber);
      if (subscribers?.size !== 0) continue;
      // An empty set left behind would leak one entry for every channel ever seen.
      subscribersByChannel.delete(channel);
      if (!this.#hasSubscribers(channel)) this.#channels -= 1;
    }
    return channels.length;
  }

  /**
   * Hands the message to every subscriber of the channel and returns how many took it. Publications of the same text
   * may share their `message`.
   */
  publish({ channel, message: text }: Publication, message = new EncodedMessage(text)): number {
    let taken = 0;
    for (const { kind, subscribersByChannel } of this.#groups) {
      const subscribers = subscribersByChannel.get(channel);
      if (subscribers === undefined) continue;
      const frame = message.frameFor(kind);
      for (const subscriber of subscribers) {
        if (this.#hand(subscriber, frame)) taken += 1;
      }
    }
    return taken;
  }

  #groupOf({ kind }: Subscriber): Group {
    for (const group of this.#groups) if (group.kind === kind) return group;
    // Kinds are few, and each stays once it was seen.
    const group: Group = { kind, subscribersByChannel: new Map() };
    this.#groups.push(group);
    return group;
  }

  #hasSubscribers(channel: Channel): boolean {
    return this.#groups.some(({ subscribersByChannel }) => subscribersByChannel.has(channel));
  }

  #hand(subscriber: Subscriber, frame: Frame): boolean {
    const taken = subscriber.deliver(frame);
    if (taken) this.#deliveries += 1;
    return taken;
  }
}
