import type { Channel } from '../protocol/channel.ts';

/** A token whose channels wait for the broker, or for the tokens before it. */
export interface PendingToken {
  readonly channels: readonly Channel[];
  /** Whether the broker has confirmed them. */
  isJoined: boolean;
}

/** The tokens of one connection that are not confirmed to it yet, in their order. */
export class PendingTokens {
  readonly #tokens: PendingToken[] = [];
  /** What they ask for beyond what the connection is on. */
  readonly channels = new Set<Channel>();
  /** The confirmations that they will cost: repetitions are confirmed each. */
  confirmations = 0;

  get count(): number {
    return this.#tokens.length;
  }

  /** `further` are its channels that the connection is not on. */
  add(token: PendingToken, further: Iterable<Channel>): void {
    this.#tokens.push(token);
    this.confirmations += token.channels.length;
    for (const channel of further) this.channels.add(channel);
  }

  /** Takes the first token if it may be confirmed: the caller subscribes the connection to its channels. */
  takeJoined(): PendingToken | undefined {
    const [token] = this.#tokens;
    if (token?.isJoined !== true) return undefined;
    this.#tokens.shift();
    this.confirmations -= token.channels.length;
    for (const channel of token.channels) this.channels.delete(channel);
    return token;
  }
}
