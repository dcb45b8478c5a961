import type { Subscriber } from '../hub/hub.ts';
import type { Channel } from '../protocol/channel.ts';

/** The wish of this node's subscribers for a channel, from the first of them to the last. */
export interface Interest {
  holders: number;
  /** Joins to be told of its confirmation; undefined once the bus has confirmed it. */
  waiting: Set<Join> | undefined;
}

/** A call of `join` that waits for confirmations. */
interface Join {
  readonly subscriber: Subscriber;
  readonly channels: readonly Channel[];
  /** Those that are not confirmed yet. */
  readonly unconfirmed: Set<Interest>;
  readonly onConfirmed: () => void;
}

/** Which channels this node needs of the bus, for whom, and who waits for them. */
export class Interests {
  readonly #byChannel = new Map<Channel, Interest>();
  readonly #held = new Map<Subscriber, Set<Channel>>();
  /** Of subscribers that wait. What one who leaves waited for is dropped, or it would stay until the bus is back. */
  readonly #joins = new Map<Subscriber, Set<Join>>();

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
   * Holds the channels for the subscriber. `fresh` are those that nobody held. Unless all are confirmed already,
   * `onConfirmed` is called when they are, and never if the subscriber leaves before that.
   */
  join(
    subscriber: Subscriber,
    channels: readonly Channel[],
    onConfirmed: () => void,
  ): { readonly fresh: readonly Channel[]; readonly isConfirmed: boolean } {
    let held = this.#held.get(subscriber);
    if (held === undefined) {
      held = new Set();
      this.#held.set(subscriber, held);
    }

    const fresh: Channel[] = [];
    const join: Join = { subscriber, channels, unconfirmed: new Set(), onConfirmed };
    for (const channel of channels) {
      let interest = this.#byChannel.get(channel);
      if (interest === undefined) {
        interest = { holders: 0, waiting: new Set() };
        this.#byChannel.set(channel, interest);
        fresh.push(channel);
      }
      if (!held.has(channel)) {
        held.add(channel);
        interest.holders += 1;
      }
      if (interest.waiting === undefined) continue;
      interest.waiting.add(join);
      join.unconfirmed.add(interest);
    }
    const isConfirmed = join.unconfirmed.size === 0;
    if (!isConfirmed) this.#remember(join);
    return { fresh, isConfirmed };
  }

  /** Lets all of the subscriber's channels go and returns those that nobody holds any more. Safe to call twice. */
  leave(subscriber: Subscriber): readonly Channel[] {
    const held = this.#held.get(subscriber);
    if (held === undefined) return [];
    this.#held.delete(subscriber);
    for (const join of this.#joins.get(subscriber) ?? []) {
      for (const interest of join.unconfirmed) interest.waiting?.delete(join);
    }
    this.#joins.delete(subscriber);

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
    for (const join of waiting ?? []) {
      join.unconfirmed.delete(interest);
      if (join.unconfirmed.size > 0) continue;
      this.#forget(join);
      join.onConfirmed();
    }
  }

  /** From now on every channel needs a new confirmation, also for joins that had it and wait for another. */
  unconfirmAll(): void {
    for (const interest of this.#byChannel.values()) interest.waiting ??= new Set();
    for (const joins of this.#joins.values()) {
      for (const join of joins) {
        for (const interest of this.of(join.channels)) {
          interest.waiting?.add(join);
          join.unconfirmed.add(interest);
        }
      }
    }
  }

  #remember(join: Join): void {
    const joins = this.#joins.get(join.subscriber);
    if (joins === undefined) this.#joins.set(join.subscriber, new Set([join]));
    else joins.add(join);
  }

  #forget(join: Join): void {
    const joins = this.#joins.get(join.subscriber);
    joins?.delete(join);
    if (joins?.size === 0) this.#joins.delete(join.subscriber);
  }
}
