import type { Channel } from '../protocol/channel.ts';

/** A token that waits until the broker is subscribed to its channels, or until the tokens before it are confirmed. */
export interface PendingToken {
  readonly channels: readonly Channel[];
  /** True once the broker is subscribed to all of them. */
  isReady: boolean;
}

/** The tokens of one connection that have not been confirmed yet, oldest first. */
export class PendingTokens {
  readonly #tokens: PendingToken[] = [];
  /** The channels they ask for, without those that the connection is subscribed to already. */
  readonly channels = new Set<Channel>();
  /** How many `subscribed` frames they will cost. A repeated channel is confirmed each time. */
  confirmations = 0;

  get count(): number {
    return this.#tokens.length;
  }

  /** `further` are those of its channels that the connection is not subscribed to. */
  add(token: PendingToken, further: Iterable<Channel>): void {
    this.#tokens.push(token);
    this.confirmations += token.channels.length;
    for (const channel of further) this.channels.add(channel);
  }

  /** Removes and returns the oldest token if it is ready. The caller then confirms it. */
  takeReady(): PendingToken | undefined {
    const [token] = this.#tokens;
    if (token?.isReady !== true) return undefined;
    this.#tokens.shift();
    this.confirmations -= token.channels.length;
    for (const channel of token.channels) this.channels.delete(channel);
    return token;
  }
}
