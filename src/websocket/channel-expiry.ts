import type { Channel } from '../protocol/channel.ts';

/** When the tokens of one connection expire, by channel. Times are in milliseconds since 1970. */
export class ChannelExpiry {
  /** The timer slot of the expiry. Kept here so that connections without one need no field for it. */
  slot: number | undefined;
  readonly #byChannel = new Map<Channel, number>();
  #newest = Number.POSITIVE_INFINITY;

  /**
   * Adds the channels of a token. A channel expires with the last of the tokens that named it. `expiresAt` is infinity
   * for a token without `exp`.
   */
  grant(channels: readonly Channel[], expiresAt: number): void {
    this.#newest = expiresAt;
    for (const channel of channels) {
      this.#byChannel.set(channel, Math.max(expiresAt, this.#byChannel.get(channel) ?? 0));
    }
  }

  /** When the first of the channels expires. Without any channel, when the newest token does. */
  get expiresAt(): number {
    if (this.#byChannel.size === 0) return this.#newest;
    let first = Number.POSITIVE_INFINITY;
    for (const expiresAt of this.#byChannel.values()) first = Math.min(first, expiresAt);
    return first;
  }
}
