import type { Channel } from '../protocol/channel.ts';
import { encodeEnvelope, encodeSubscribed, type SubscribedDetails } from '../protocol/messages.ts';
import type { Publication } from '../protocol/publishing.ts';
import { encodeFrame, type Frame } from './frame.ts';

/** Subscribers that are sent the same bytes. */
export interface Kind {
  /** Whether they are sent messages in an envelope that names channel and position. */
  readonly isPositioned?: boolean;
  /** Returns the frame that they are sent in place of this one. Called once a broadcast that reaches one of them. */
  encode(frame: Frame): Frame;
}

/** Subscribers that are sent envelopes. */
export const POSITIONED: Kind = { isPositioned: true, encode: (frame) => frame };

/** Former subscribers that have missed something and are to be sent nothing more. */
export const SUSPENDED: Kind = { encode: (frame) => frame };

/** What the hub needs of a connection; a websocket fits, and so does a test double. */
export interface Subscriber {
  /** Undefined for those who are sent the plain frame. Only the hub may change it while it is subscribed. */
  kind?: Kind | undefined;
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

/** The frames of one message without an envelope, each made when the first subscriber of its kind is there. */
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

  /** Counts messages that were handed to a subscriber without the hub: what it had missed. */
  countReplayed(messages: number): void {
    this.#deliveries += messages;
  }

  /** From now on the subscriber is of another kind, on the channels that it has already too. */
  changeKind(subscriber: Subscriber, kind: Kind): void {
    const { channels = [] } = subscriber;
    const from = this.#groupOf(subscriber);
    subscriber.kind = kind;
    const to = this.#groupOf(subscriber);
    if (from === to) return;
    for (const channel of channels) {
      add(to, channel, subscriber);
      remove(from, channel, subscriber);
    }
  }

  /**
   * Adds the subscription and confirms it to the subscriber, with `details` for a positioned one. A subscription that
   * exists already is confirmed again.
   */
  subscribe(subscriber: Subscriber, channel: Channel, details?: SubscribedDetails): void {
    const group = this.#groupOf(subscriber);
    if (group.subscribersByChannel.get(channel)?.has(subscriber) !== true) {
      if (!this.#hasSubscribers(channel)) this.#channels += 1;
      add(group, channel, subscriber);
      // Most subscribers have one channel. `push` on an empty array would reserve room for several.
      if (subscriber.channels === undefined) subscriber.channels = [channel];
      else subscriber.channels.push(channel);
      this.#subscriptions += 1;
    }
    // In the same step as subscribing, so that no broadcast comes before the confirmation.
    this.#hand(subscriber, encodeFrame(encodeSubscribed(channel, details)));
  }

  /** Ends all subscriptions and returns how many. Safe to call for a subscriber the hub never knew, or twice. */
  unsubscribe(subscriber: Subscriber): number {
    const { channels } = subscriber;
    if (channels === undefined) return 0;

    subscriber.channels = undefined;
    this.#subscriptions -= channels.length;
    const group = this.#groupOf(subscriber);
    for (const channel of channels) {
      remove(group, channel, subscriber);
      if (!this.#hasSubscribers(channel)) this.#channels -= 1;
    }
    return channels.length;
  }

  /**
   * Hands the message to every subscriber of the channel and returns how many took it. Publications of the same text
   * may share their `message`. Positioned subscribers are told the position, if there is one.
   */
  publish(
    publication: Publication,
    message = new EncodedMessage(publication.message),
    position = publication.position,
  ): number {
    let taken = 0;
    let envelope: Frame | undefined;
    for (const { kind, subscribersByChannel } of this.#groups) {
      const subscribers = subscribersByChannel.get(publication.channel);
      if (subscribers === undefined) continue;
      let frame: Frame;
      if (kind?.isPositioned === true) {
        envelope ??= encodeFrame(encodeEnvelope(publication, position));
        frame = kind.encode(envelope);
      } else {
        frame = message.frameFor(kind);
      }
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

function add({ subscribersByChannel }: Group, channel: Channel, subscriber: Subscriber): void {
  const subscribers = subscribersByChannel.get(channel);
  if (subscribers === undefined) subscribersByChannel.set(channel, new Set([subscriber]));
  else subscribers.add(subscriber);
}

/** An empty set left behind would leak one entry for every channel ever seen. */
function remove({ subscribersByChannel }: Group, channel: Channel, subscriber: Subscriber): void {
  const subscribers = subscribersByChannel.get(channel);
  subscribers?.delete(subscriber);
  if (subscribers?.size === 0) subscribersByChannel.delete(channel);
}
