/** What a message costs beside its texts while it waits to be read. */
const MESSAGE_BYTES = 1_024;

/** Counts the bytes that were written to another process and not yet read by it. */
export class Backlog {
  readonly #maxBytes: number;
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Approximate bytes that wait. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Judged by what waits already, so that one large message never fills it for a process that reads. */
  get isFull(): boolean {
    return this.#bytes > this.#maxBytes;
  }

  /** Counts a message with a content of so many bytes; returns what to call when it has been written. */
  add(bytes: number): () => void {
    const cost = MESSAGE_BYTES + bytes;
    this.#bytes += cost;
    return () => {
      this.#bytes -= cost;
    };
  }
}
