import { hash } from 'node:crypto';

/** What came of one attack. */
export interface Outcome {
  /** Hostile inputs: connections, requests, messages and, in floods, frames. */
  readonly tried: number;
  /** Those of them to which the server did what it promises. */
  readonly asPromised: number;
  readonly handshakes: number;
  /** Messages that no attack has sent before. */
  readonly distinctMessages: number;
  /** What the server did instead, with how often. */
  readonly faults: readonly string[];
}

/** Fingerprints of every message since the program started: round two must not repeat round one. */
const sent = new Set<string>();
/** Enough to understand a fault; a flood that goes wrong would print a book. */
const MAX_FAULTS = 8;

export class Tally {
  tried = 0;
  asPromised = 0;
  handshakes = 0;
  #distinctMessages = 0;
  readonly #faults = new Map<string, number>();

  /** Counts `inputs` and whether the server kept its promise for all of them; `fault` says what it did instead. */
  check(kept: boolean, fault: () => string, inputs = 1): void {
    this.tried += inputs;
    if (kept) this.asPromised += inputs;
    else this.fault(fault());
  }

  /** Something wrong that is no answer to one input. */
  fault(text: string): void {
    const line = text.slice(0, 300);
    this.#faults.set(line, (this.#faults.get(line) ?? 0) + 1);
  }

  /** Notes a message that is sent, a body or a token included. */
  message(text: string | Buffer): void {
    const before = sent.size;
    sent.add(hash('md5', text, 'base64'));
    this.#distinctMessages += sent.size - before;
  }

  get outcome(): Outcome {
    const faults = [...this.#faults].map(([text, times]) =>
      times > 1 ? `${text} (×${times})` : text,
    );
    const more = faults.length - MAX_FAULTS;
    return {
      tried: this.tried,
      asPromised: this.asPromised,
      handshakes: this.handshakes,
      distinctMessages: this.#distinctMessages,
      faults: more > 0 ? [...faults.slice(0, MAX_FAULTS), `and ${more} more`] : faults,
    };
  }
}
