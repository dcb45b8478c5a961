import { hash } from 'node:crypto';

/** What came of one attack. */
export interface Outcome {
  /** Hostile inputs: connections, requests, messages and, in floods, frames. */
  readonly inputs: number;
  /** Those of them to which the server reacted as its contract says. */
  readonly conforming: number;
  readonly handshakes: number;
  /** Messages that no attack has sent before. */
  readonly distinctMessages: number;
  /** What the server did instead, with how often. */
  readonly faults: readonly string[];
}

/** Fingerprints of every message since the program started: round two must not repeat round one. */
const sentMessages = new Set<string>();
/** Enough to understand a fault. A flood that goes wrong has thousands. */
const MAX_FAULTS = 8;
const MAX_FAULT_LENGTH = 300;

/** Collects what the server did with the inputs of one attack. */
export class ResultCollector {
  inputs = 0;
  conforming = 0;
  handshakes = 0;
  #distinctMessages = 0;
  readonly #faults = new Map<string, number>();

  /** Counts `inputs` to which the server reacted alike. `describeFault` says what it did if that was wrong. */
  check(conforms: boolean, describeFault: () => string, inputs = 1): void {
    this.inputs += inputs;
    if (conforms) this.conforming += inputs;
    else this.addFault(describeFault());
  }

  /** Adds a fault that is not the reaction to one input. */
  addFault(text: string): void {
    const line = text.slice(0, MAX_FAULT_LENGTH);
    this.#faults.set(line, (this.#faults.get(line) ?? 0) + 1);
  }

  /** Counts a message that is sent. Bodies and tokens are messages too. */
  addMessage(text: string | Buffer): void {
    const before = sentMessages.size;
    sentMessages.add(hash('md5', text, 'base64'));
    this.#distinctMessages += sentMessages.size - before;
  }

  get outcome(): Outcome {
    const faults = [...this.#faults].map(([text, times]) =>
      times > 1 ? `${text} (×${times})` : text,
    );
    const more = faults.length - MAX_FAULTS;
    return {
      inputs: this.inputs,
      conforming: this.conforming,
      handshakes: this.handshakes,
      distinctMessages: this.#distinctMessages,
      faults: more > 0 ? [...faults.slice(0, MAX_FAULTS), `and ${more} more`] : faults,
    };
  }
}
