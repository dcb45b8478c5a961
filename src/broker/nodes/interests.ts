import type { Subscriber } from '../../hub/hub.ts';
import type { Channel } from '../../protocol/channel.ts';

/** That this node has subscribers of a channel, from the first of them to the last. */
export interface Interest {
  holders: number;
  /** Subscriptions to be told of its confirmation; undefined once the bus has confirmed it. */
  waiting: Set<PendingSubscription> | undefined;
}

/** A call of `add` that waits for confirmations. */
interface PendingSubscription {
  readonly subscriber: Subscriber;
  readonly channels: readonly Channel[];
  /** Those that are not confirmed yet. */
  readonly unconfirmed: Set<Interest>;
  readonly onConfirmed: () => void;
}

/** The channels that this node needs of the bus, for which subscribers, and who waits for their confirmation. */
export class Interests {
  readonly #byChannel = new Map<Channel, Interest>();
  readonly #held = new Map<Subscriber, Set<Channel>>();
  /** By subscriber, so that `remove` finds them. Left behind, they would stay until the bus is back. */
  readonly #pending = new Map<Subscriber, Set<PendingSubscription>>();

  /** All channels that somebody holds, as they are now. */
  get channels(): readonly Channel[] {
    return [...this.#byChannel.keys()];
  }

  /** The interests in these channels; those that nobody holds are left out. */
  of(channels: readonly Channel[]): readonly Interest[] {
    return channels
      .map((channel) => this.#byChannel.get(channel))
      .filter((interest) => interest !== undefined);
  }

  has(channel: Channel): boolean {
    return this.#byChannel.has(channel);
  }

  /**
   * Holds the channels for the subscriber. `added` are those that nobody held. Unless all are confirmed already,
   * `onConfirmed` is called when they are, and never if the subscriber is removed before that.
   */
  add(
    subscriber: Subscriber,
    channels: readonly Channel[],
    onConfirmed: () => void,
  ): { readonly added: readonly Channel[]; readonly isConfirmed: boolean } {
    let held = this.#held.get(subscriber);
    if (held === undefined) {
      held = new Set();
      this.#held.set(subscriber, held);
    }

    const added: Channel[] = [];
    const subscription: PendingSubscription = {
      subscriber,
      channels,
      unconfirmed: new Set(),
      onConfirmed,
    };
    for (const channel of channels) {
      let interest = this.#byChannel.get(channel);
      if (interest === undefined) {
        interest = { holders: 0, waiting: new Set() };
        this.#byChannel.set(channel, interest);
        added.push(channel);
      }
      if (!held.has(channel)) {
        held.add(channel);
        interest.holders += 1;
      }
      if (interest.waiting === undefined) continue;
      interest.waiting.add(subscription);
      subscription.unconfirmed.add(interest);
    }
    const isConfirmed = subscription.unconfirmed.size === 0;
    if (!isConfirmed) this.#remember(subscription);
    return { added, isConfirmed };
  }

  /** Lets all of the subscriber's channels go and returns those that nobody holds any more. Safe to call twice. */
  remove(subscriber: Subscriber): readonly Channel[] {
    const held = this.#held.get(subscriber);
    if (held === undefined) return [];
    this.#held.delete(subscriber);
    for (const subscription of this.#pending.get(subscriber) ?? []) {
      for (const interest of subscription.unconfirmed) interest.waiting?.delete(subscription);
    }
    this.#pending.delete(subscriber);

    const emptied: Channel[] = [];
    for (const channel of held) {
      const interest = this.#byChannel.get(channel);
      if (interest === undefined) continue;
      interest.holders -= 1;
      if (interest.holders > 0) continue;
      this.#byChannel.delete(channel);
      emptied.push(channel);
    }
    return emptied;
  }

  /** Tells those who wait for it. Safe to call twice. */
  confirm(interest: Interest): void {
    const { waiting } = interest;
    interest.waiting = undefined;
    for (const subscription of waiting ?? []) {
      subscription.unconfirmed.delete(interest);
      if (subscription.unconfirmed.size > 0) continue;
      this.#forget(subscription);
      subscription.onConfirmed();
    }
  }

  /** From now on every channel needs a new confirmation, also for subscriptions that had it and wait for another. */
  unconfirmAll(): void {
    for (const interest of this.#byChannel.values()) interest.waiting ??= new Set();
    for (const pending of this.#pending.values()) {
      for (const subscription of pending) {
        for (const interest of this.of(subscription.channels)) {
          interest.waiting?.add(subscription);
          subscription.unconfirmed.add(interest);
        }
      }
    }
  }

  #remember(subscription: PendingSubscription): void {
    const pending = this.#pending.get(subscription.subscriber);
    if (pending === undefined) this.#pending.set(subscription.subscriber, new Set([subscription]));
    else pending.add(subscription);
  }

  #forget(subscription: PendingSubscription): void {
    const pending = this.#pending.get(subscription.subscriber);
    pending?.delete(subscription);
    if (pending?.size === 0) this.#pending.delete(subscription.subscriber);
  }
}
