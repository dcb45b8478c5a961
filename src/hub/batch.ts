import type { Frame } from './frame.ts';

/**
 * A sequence of frames, as the path from the root of a tree: root → frame a → frame b. Outlets that wait
 * for the same frames hold the same node, so the bytes are joined once, however many outlets write them.
 */
export class Batch {
  readonly byteLength: number;
  /** How many frames it has. */
  readonly length: number;
  readonly #before: Batch | undefined;
  readonly #frame: Frame | undefined;
  // Only the last continuation is remembered: the hub hands the same frame to one subscriber after another.
  #after: Batch | undefined;
  #bytes: Buffer | undefined;

  /** Both are undefined for the root, the empty sequence. */
  constructor(before: Batch | undefined, frame: Frame | undefined) {
    this.#before = before;
    this.#frame = frame;
    this.byteLength = (before?.byteLength ?? 0) + (frame?.bytes.length ?? 0);
    this.length = before === undefined ? 0 : before.length + 1;
  }

  /** This sequence and one frame more. */
  followedBy(frame: Frame): Batch {
    if (this.#after === undefined || this.#after.#frame !== frame) {
      this.#after = new Batch(this, frame);
    }
    return this.#after;
  }

  /** All frames in their order. */
  get bytes(): Buffer {
    this.#bytes ??= this.#join();
    return this.#bytes;
  }

  #join(): Buffer {
    const parts: Buffer[] = [];
    for (let batch: Batch | undefined = this; batch !== undefined; batch = batch.#before) {
      if (batch.#frame !== undefined) parts.push(batch.#frame.bytes);
    }
    const [only] = parts;
    if (parts.length === 1 && only !== undefined) return only;
    return Buffer.concat(parts.reverse(), this.byteLength);
  }
}
