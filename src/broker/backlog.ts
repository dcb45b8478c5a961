/** What a message costs beside its texts while it waits to be read. */
const MESSAGE_BYTES = 1_024;

/** Counts what was given to a channel between processes that the other side has not read yet. */
export class Backlog {
  readonly #maxBytes: number;
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** About how many bytes wait. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Judged by what waits already, so that one large message never counts against a process that reads. */
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
