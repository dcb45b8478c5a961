import type { Hash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';

/** How much is read at a time. */
const PIECE_BYTES = 2 ** 20;

/** Reads a part of a file piece by piece, and hashes what is taken of it. */
export class FileReader {
  readonly #handle: FileHandle;
  readonly #hash: Hash;
  /** Where the next piece begins in the file, and where the last one ends. */
  #offset: number;
  readonly #endOffset: number;
  /** What has been read and not taken yet. */
  #unread = Buffer.alloc(0);

  /** Offsets are in bytes; the part ends before `end`. */
  constructor(handle: FileHandle, start: number, end: number, hash: Hash) {
    this.#handle = handle;
    this.#offset = start;
    this.#endOffset = end;
    this.#hash = hash;
  }

  /** How much of the part has not been taken yet. */
  get bytesLeft(): number {
    return this.#endOffset - this.#offset + this.#unread.length;
  }

  /** The next bytes, which are good until the next call. Rejects when fewer are left. */
  take(bytes: number): Buffer | Promise<Buffer> {
    return bytes <= this.#unread.length ? this.#cut(bytes) : this.#readAndCut(bytes);
  }

  async #readAndCut(bytes: number): Promise<Buffer> {
    if (bytes > this.bytesLeft) throw new Error('it ends too early');
    const waiting = this.#unread.length;
    const wanted = Math.min(Math.max(bytes - waiting, PIECE_BYTES), this.#endOffset - this.#offset);
    const buffer = Buffer.allocUnsafe(waiting + wanted);
    this.#unread.copy(buffer);
    for (let end = waiting; end < buffer.length; ) {
      const { bytesRead } = await this.#handle.read(buffer, end, buffer.length - end, this.#offset);
      if (bytesRead === 0) throw new Error('it ends too early');
      end += bytesRead;
      this.#offset += bytesRead;
    }
    this.#unread = buffer;
    return this.#cut(bytes);
  }

  #cut(bytes: number): Buffer {
    const taken = this.#unread.subarray(0, bytes);
    this.#unread = this.#unread.subarray(bytes);
    this.#hash.update(taken);
    return taken;
  }
}
