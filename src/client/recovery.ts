import { type Position, parsePosition } from '../protocol/position.ts';
import type { Confirmation } from './frame.ts';

/**
 * What a client has received, so that it can come back and miss nothing, or know what it missed. Positions are compared
 * within one epoch only.
 */
export class Recovery {
  /** With what the client comes back: everything up to it has been handled, on all of its channels. */
  #cursor: string | undefined;
  /** Channel → number of its newest position, 0 for none. The channels are those that have been subscribed to. */
  readonly #highest = new Map<string, number>();
  /** Of the numbers in `#highest`. */
  #epoch = '';

  // Of the present connection:
  #asked: string | undefined;
  readonly #confirmed = new Set<string>();
  /** Tokens whose last confirmation has not come. */
  #unconfirmedTokens = 0;
  /** Channel → replays that are still to come. */
  readonly #missed = new Map<string, number>();
  #isSettled = false;
  #gaps: string[] = [];
  /** True while channels are confirmed that `takeGaps` has not seen. */
  #hasUntaken = false;

  constructor(since: string | undefined) {
    this.#cursor = since;
  }

  /** A connection authenticates with so many tokens. Returns the `since` to send with each. */
  begin(tokens: number): string | undefined {
    this.#asked = this.#cursor;
    this.#confirmed.clear();
    this.#unconfirmedTokens = tokens;
    this.#missed.clear();
    this.#isSettled = false;
    this.#gaps = [];
    this.#hasUntaken = false;
    return this.#asked;
  }

  /** The channel of a frame that names none: known if there is but one. */
  get onlyChannel(): string | undefined {
    return this.#confirmed.size === 1 ? [...this.#confirmed][0] : undefined;
  }

  readonly isConfirmed = (channel: string): boolean => this.#confirmed.has(channel);

  confirm({ channel, recovered, missed, position }: Confirmation): void {
    if (!this.#confirmed.has(channel)) {
      this.#confirmed.add(channel);
      this.#hasUntaken = true;
      if (recovered) {
        if (missed) this.#missed.set(channel, missed);
      } else if (this.#asked || this.#highest.has(channel)) this.#gaps.push(channel);
    }
    if (position) this.#unconfirmedTokens -= 1;
  }

  /**
   * Takes the channels on which something was missed, to be reported. From now on the confirmed channels count as
   * subscribed: a connection that ends before has told the app nothing.
   */
  takeGaps(): string[] {
    if (!this.#hasUntaken) return [];
    this.#hasUntaken = false;
    for (const channel of this.#confirmed) {
      if (!this.#highest.has(channel)) this.#highest.set(channel, 0);
    }
    return this.#gaps.splice(0);
  }

  /** A message arrived. `isNew` is false for one that was received before, on an earlier connection. */
  receive(channel: string, position: string): { isNew: boolean; replayed: boolean } {
    const number = this.#enterEpoch(position);
    const left = this.#missed.get(channel);
    if (left) {
      if (left > 1) this.#missed.set(channel, left - 1);
      else this.#missed.delete(channel);
    }
    const isNew = number > (this.#highest.get(channel) ?? 0);
    if (isNew) this.#highest.set(channel, number);
    return { isNew, replayed: left !== undefined };
  }

  /** The frame with this position has been handled. */
  advance(position: string): void {
    const reached = this.#enterEpoch(position);
    // With several tokens, what the channels of the others have missed is known only after the last one.
    if (this.#unconfirmedTokens > 0 || this.#missed.size > 0) {
      // A client that had no channels before has missed nothing before its first position.
      if (this.#highest.size === this.#confirmed.size) this.#cursor ??= position;
      return;
    }
    this.#cursor = position;
    if (this.#isSettled) return;
    this.#isSettled = true;
    for (const [channel, number] of this.#highest) {
      if (!this.#confirmed.has(channel) && number <= reached) {
        this.#highest.delete(channel);
      }
    }
  }

  /** A pong has a position only when all tokens have been answered and all replays sent. */
  pong(position: string): void {
    this.#unconfirmedTokens = 0;
    this.#missed.clear();
    this.advance(position);
  }

  /** Gives up the cursor: what is missed until the next connection is a gap. */
  forget(): void {
    this.#cursor = undefined;
  }

  /** Nothing is known any more, as of a new client. */
  leave(): void {
    this.#cursor = undefined;
    this.#highest.clear();
  }

  /** The number of the position. If its epoch is another, the numbers that were kept are not comparable any more. */
  #enterEpoch(position: string): number {
    // It was checked when its frame was read.
    const { epoch, number } = parsePosition(position) as Position;
    if (epoch !== this.#epoch) {
      this.#epoch = epoch;
      for (const channel of this.#highest.keys()) this.#highest.set(channel, 0);
    }
    return number;
  }
}
