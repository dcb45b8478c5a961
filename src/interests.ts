import type { Subscriber } from './hub.ts';
import type { Channel } from './protocol.ts';

/** The wish of this node's subscribers for a channel, from the first of them to the last. */
export interface Interest {
  holders: number;
  /** Joins to be told of its confirmation; undefined once the bus has confirmed it. */
  waiting: Set<Join> | undefined;
}

/** A call of `join` that waits for confirmations. */
interface Join {
  readonly subscriber: Subscriber;
  /** How many of its channels are not confirmed yet. */
  unconfirmed: number;
  readonly resolve: () => void;
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
   * Holds the channels for the subscriber. `fresh` are those that nobody held. `confirmed` resolves when all are
   * confirmed, never if the subscriber leaves before that; undefined if they are already.
   */
  join(
    subscriber: Subscriber,
    channels: readonly Channel[],
  ): { readonly fresh: readonly Channel[]; readonly confirmed: Promise<void> | undefined } {
    let held = this.#held.get(subscriber);
    if (held === undefined) {
      held = new Set();
      this.#held.set(subscriber, held);
    }

    const fresh: Channel[] = [];
    let unconfirmed: Set<Set<Join>> | undefined;
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
      if (interest.waiting !== undefined) {
        unconfirmed ??= new Set();
        unconfirmed.add(interest.waiting);
      }
    }
    return { fresh, confirmed: unconfirmed && this.#wait(subscriber, unconfirmed) };
  }

  /** Lets all of the subscriber's channels go and returns those that nobody holds any more. Safe to call twice. */
  leave(subscriber: Subscriber): readonly Channel[] {
    const held = this.#held.get(subscriber);
    if (held === undefined) return [];
    this.#held.delete(subscriber);
    const joins = this.#joins.get(subscriber) ?? [];
    this.#joins.delete(subscriber);

    const emptied: Channel[] = [];
    for (const channel of held) {
      const interest = this.#byChannel.get(channel);
      if (interest === undefined) continue;
      for (const join of joins) interest.waiting?.delete(join);
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
      join.unconfirmed -= 1;
      if (join.unconfirmed > 0) continue;
      this.#forget(join);
      join.resolve();
    }
  }

  /** From now on every channel needs a new confirmation. */
  unconfirmAll(): void {
    for (const interest of this.#byChannel.values()) interest.waiting ??= new Set();
  }

  #wait(subscriber: Subscriber, unconfirmed: ReadonlySet<Set<Join>>): Promise<void> {
    return new Promise((resolve) => {
      const join: Join = { subscriber, unconfirmed: unconfirmed.size, resolve };
      for (const waiting of unconfirmed) waiting.add(join);
      const joins = this.#joins.get(subscriber);
      if (joins === undefined) this.#joins.set(subscriber, new Set([join]));
      else joins.add(join);
    });
  }

  #forget(join: Join): void {
    const joins = this.#joins.get(join.subscriber);
    joins?.delete(join);
    if (joins?.size === 0) this.#joins.delete(join.subscriber);
  }
}
