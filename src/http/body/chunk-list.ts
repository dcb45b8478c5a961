/** About what a Buffer object costs beside its bytes. */
const BUFFER_OBJECT_BYTES = 512;
/** Shorter chunks are copied together: each in a Buffer of its own would cost several times its size. */
const MIN_KEPT_BYTES = 1_024;
const MAX_TAIL_BYTES = 16_384;
const NO_BYTES = Buffer.alloc(0);

/** The chunks of a body. Small ones are copied together, so that they cost at most about twice their size. */
export class ChunkList {
  /** Bytes appended so far. */
  length = 0;
  /** Chunks appended so far. */
  count = 0;
  #pieces: Buffer[] = [];
  /** Where small chunks are copied to. What lies between start and end is not among the pieces yet. */
  #tail: Buffer = NO_BYTES;
  #tailStart = 0;
  #tailEnd = 0;

  /** Returns how many bytes more are held now. */
  append(chunk: Buffer): number {
    this.count += 1;
    this.length += chunk.length;
    if (this.#pieces.length > 0 && chunk.length < MIN_KEPT_BYTES) return this.#appendToTail(chunk);

    this.#sealTail();
    this.#pieces.push(chunk);
    return chunk.length + BUFFER_OBJECT_BYTES;
  }

  /** All bytes in one Buffer. */
  join(): Buffer {
    this.#sealTail();
    const [only = NO_BYTES] = this.#pieces;
    return this.#pieces.length > 1 ? Buffer.concat(this.#pieces, this.length) : only;
  }

  /** Lets go of all bytes. Nothing may be appended afterwards. */
  clear(): void {
    this.#pieces = [];
    this.#tail = NO_BYTES;
  }

  #appendToTail(chunk: Buffer): number {
    const copied = chunk.copy(this.#tail, this.#tailEnd);
    this.#tailEnd += copied;
    if (copied === chunk.length) return 0;

    this.#sealTail();
    // In proportion to the body, so that a small one never costs more than twice its size.
    const bytes = Math.min(Math.max(this.length, MIN_KEPT_BYTES), MAX_TAIL_BYTES);
    // Not from Node's pool of 8 KiB: a Buffer of which one byte is used would keep the whole pool in memory.
    this.#tail = Buffer.allocUnsafeSlow(bytes);
    this.#tailStart = 0;
    this.#tailEnd = chunk.copy(this.#tail, 0, copied);
    return bytes + BUFFER_OBJECT_BYTES;
  }

  #sealTail(): void {
    if (this.#tailEnd > this.#tailStart) {
      this.#pieces.push(this.#tail.subarray(this.#tailStart, this.#tailEnd));
    }
    this.#tailStart = this.#tailEnd;
  }
}
