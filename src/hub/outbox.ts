import { Batch } from './batch.ts';
import type { Frame } from './frame.ts';

/** A connection as the outbox sees it. */
export interface Outlet {
  /** What waits to be written to it. Kept here by the outbox, for nobody else to touch. */
  batch: Batch | undefined;
  /** Writes the bytes, or drops them when the connection is no longer open. Must not throw. */
  write(bytes: Buffer): void;
}

/** Sockets written in one turn of the event loop, so that pings, posts and handshakes get theirs in between. */
const SLICE_OUTLETS = 500;

/** Bytes handed to the kernel in one turn, for the same reason: large messages cost by their size. */
const SLICE_BYTES = 16 * 1024 * 1024;

/** Rounds of fewer outlets are written sooner than a wait would pay. */
const GATHER_OUTLETS = 100;

/** Frames an outlet in the last round, on average, from which on the next one waits for more. */
const GATHER_FRAMES = 2;

/**
 * Collects the frames of one turn of the event loop and writes them with one `write` a socket.
 *
 * Nearly all of a delivery's cost is the system call that sends it, and whoever receives the same frames can
 * share their concatenation. Order is kept for every outlet.
 */
export class Outbox {
  /** The batch of those for whom nothing waits; a new one each round, or it would keep the last frames alive. */
  #empty = new Batch(undefined, undefined);
  /** Outlets with a batch, in the order in which they got it. */
  #waiting: Outlet[] = [];
  /** The round that is being written, from `#next` on. */
  #writing: Outlet[] = [];
  #next = 0;
  /** Frames of the round. */
  #frames = 0;
  #scheduled = false;
  /** Whether the last round was worth waiting for, and so may the next one be. */
  #mayGather = false;
  readonly #sliceOutlets: number;
  readonly #gatherMs: number;
  readonly #gatherOutlets: number;

  /**
   * `sliceOutlets` is how many outlets are written in one turn of the event loop. `gatherMs` is how long a round of
   * `gatherOutlets` or more waits under load: messages that come by way of other processes come one by one, and would
   * be written one by one.
   */
  constructor({ sliceOutlets = SLICE_OUTLETS, gatherMs = 0, gatherOutlets = GATHER_OUTLETS } = {}) {
    this.#sliceOutlets = sliceOutlets;
    this.#gatherMs = gatherMs;
    this.#gatherOutlets = gatherOutlets;
  }

  /** Adds a frame to what waits for the outlet; it is written before the event loop turns again, or soon after. */
  append(outlet: Outlet, frame: Frame): void {
    if (outlet.batch === undefined) {
      outlet.batch = this.#empty.followedBy(frame);
      this.#waiting.push(outlet);
      this.#schedule();
    } else {
      outlet.batch = outlet.batch.followedBy(frame);
    }
  }

  /** Writes at once what waits for the outlet: before a close frame that we start. */
  flush(outlet: Outlet): void {
    const { batch } = outlet;
    if (batch === undefined) return;
    // Its place in the round stays and is passed over.
    outlet.batch = undefined;
    outlet.write(batch.bytes);
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    // After the poll phase: all that was read in it shares the batch. The next tick would be too early for that.
    setImmediate(() => this.#writeSlice());
  }

  #writeSlice(): void {
    this.#scheduled = false;
    if (this.#writing.length === 0) {
      if (this.#gather()) return;
      this.#writing = this.#waiting;
      this.#waiting = [];
      this.#empty = new Batch(undefined, undefined);
    }

    const end = Math.min(this.#next + this.#sliceOutlets, this.#writing.length);
    let bytes = 0;
    while (this.#next < end && bytes < SLICE_BYTES) {
      const outlet = this.#writing[this.#next] as Outlet;
      this.#next += 1;
      bytes += outlet.batch?.byteLength ?? 0;
      this.#frames += outlet.batch?.length ?? 0;
      this.flush(outlet);
    }

    if (this.#next === this.#writing.length) {
      this.#mayGather = this.#frames >= GATHER_FRAMES * this.#writing.length;
      this.#writing = [];
      this.#next = 0;
      this.#frames = 0;
    }
    if (this.#writing.length > 0 || this.#waiting.length > 0) this.#schedule();
  }

  /** Whether the next round is put off, which it is once. */
  #gather(): boolean {
    const { length } = this.#waiting;
    if (this.#gatherMs === 0 || !this.#mayGather || length < this.#gatherOutlets) return false;
    this.#mayGather = false;
    this.#scheduled = true;
    setTimeout(() => this.#writeSlice(), this.#gatherMs);
    return true;
  }
}
