import type { Channel } from '../protocol/channel.ts';

/** Until when a connection may live by its tokens. Times are in milliseconds since 1970. */
export class ChannelExpiry {
  /** The slot in which the connection ends. Kept here for the connection. */
  slot: number | undefined;
  readonly #byChannel = new Map<Channel, number>();
  #newest = Number.POSITIVE_INFINITY;

  /** Each channel is good until the latest time of the tokens that named it; infinity for a token without `exp`. */
  grant(channels: readonly Channel[], expiresAt: number): void {
    this.#newest = expiresAt;
    for (const channel of channels) {
      this.#byChannel.set(channel, Math.max(expiresAt, this.#byChannel.get(channel) ?? 0));
    }
  }

  /** When the first channel is not good any more; without channels, when the newest token is not. */
  get deadline(): number {
    if (this.#byChannel.size === 0) return this.#newest;
    let first = Number.POSITIVE_INFINITY;
    for (const expiresAt of this.#byChannel.values()) first = Math.min(first, expiresAt);
    return first;
  }
}
