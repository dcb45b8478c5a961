import type { Channel } from '../protocol/channel.ts';

/** A token that waits until the broker is subscribed to its channels, or until the tokens before it are confirmed. */
export interface PendingToken {
  readonly channels: readonly Channel[];
  /** What the client sent with it; undefined when it asked for no positions. */
  readonly since: string | null | undefined;
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
  /** True while what the oldest has missed is read. */
  isRecovering = false;
  /** True while the replay of an earlier one is written. With another behind it, the connection would count as too slow. */
  isReplaying = false;
  /** What is reserved for its replay, in bytes. */
  reservedBytes = 0;

  get count(): number {
    return this.#tokens.length;
  }

  /** The oldest token if it may be confirmed now. */
  get ready(): PendingToken | undefined {
    const [token] = this.#tokens;
    return token?.isReady === true && !this.isRecovering && !this.isReplaying ? token : undefined;
  }

  /** `further` are those of its channels that the connection is not subscribed to. */
  add(token: PendingToken, further: Iterable<Channel>): void {
    this.#tokens.push(token);
    this.confirmations += token.channels.length;
    for (const channel of further) this.channels.add(channel);
  }

  /** Removes the oldest token. The caller confirms it. */
  shift(): void {
    const token = this.#tokens.shift();
    if (token === undefined) return;
    this.confirmations -= token.channels.length;
    for (const channel of token.channels) this.channels.delete(channel);
  }
}
