import { Batch } from './batch.ts';
import type { Frame } from './frame.ts';

/** A connection as the outbox sees it. */
export interface Outlet {
  /** What waits to be written to it. Set by the outbox, which needs no map of outlets then. */
  batch: Batch | undefined;
  /** Writes the bytes, or drops them when the connection is no longer open. Must not throw. */
  write(bytes: Buffer): void;
}

/** Sockets written in one turn of the event loop, so that pings, posts and handshakes are served in between. */
const MAX_SLICE_OUTLETS = 500;

/** Bytes handed to the kernel in one turn, for the same reason: large messages cost by their size. */
const MAX_SLICE_BYTES = 16 * 1024 * 1024;

/** A flush of fewer outlets is never delayed: writing it costs less than the delay saves. */
const MIN_DELAYED_OUTLETS = 100;

/** Frames an outlet in the last flush, on average, from which on the next flush may be delayed. */
const MIN_FRAMES_PER_OUTLET = 2;

/**
 * Collects the frames of one turn of the event loop and writes them with one `write` a socket.
 *
 * Nearly all of a delivery's cost is the system call that sends it, and whoever receives the same frames can
 * share their concatenation. Order is kept for every outlet.
 */
export class Outbox {
  /** The root of the batches. A new one each flush, or it would keep the last frames alive. */
  #empty = new Batch(undefined, undefined);
  /** Outlets with a batch, in the order in which they got it. */
  #waiting: Outlet[] = [];
  /** The outlets of the flush under way; those from `#next` on are yet to be written. */
  #writing: Outlet[] = [];
  #next = 0;
  /** Frames written by the flush under way. */
  #frames = 0;
  #scheduled = false;
  /** True if the last flush wrote at least two frames per outlet on average. Only then may the next be delayed. */
  #mayDelayNextFlush = false;
  readonly #sliceOutlets: number;
  readonly #flushDelayMs: number;
  readonly #minDelayedOutlets: number;

  /**
   * `sliceOutlets` is how many outlets are written in one turn of the event loop. `flushDelayMs` is how
   * long a flush of `minDelayedOutlets` or more is delayed under load: messages from other processes arrive one by
   * one, and would be written one by one.
   */
  constructor({
    sliceOutlets = MAX_SLICE_OUTLETS,
    flushDelayMs = 0,
    minDelayedOutlets = MIN_DELAYED_OUTLETS,
  } = {}) {
    this.#sliceOutlets = sliceOutlets;
    this.#flushDelayMs = flushDelayMs;
    this.#minDelayedOutlets = minDelayedOutlets;
  }

  /** Whether a flush that takes several turns of the event loop is under way. */
  get isWriting(): boolean {
    return this.#writing.length > 0;
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
    // It stays in the list, where the flush passes over it.
    outlet.batch = undefined;
    outlet.write(batch.bytes);
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    // After the poll phase, so that all that was read in it shares the batch. `nextTick` would be too early.
    setImmediate(() => this.#writeSlice());
  }

  #writeSlice(): void {
    this.#scheduled = false;
    if (this.#writing.length === 0) {
      if (this.#delayFlush()) return;
      this.#writing = this.#waiting;
      this.#waiting = [];
      this.#empty = new Batch(undefined, undefined);
    }

    const end = Math.min(this.#next + this.#sliceOutlets, this.#writing.length);
    let bytes = 0;
    while (this.#next < end && bytes < MAX_SLICE_BYTES) {
      const outlet = this.#writing[this.#next] as Outlet;
      this.#next += 1;
      bytes += outlet.batch?.byteLength ?? 0;
      this.#frames += outlet.batch?.length ?? 0;
      this.flush(outlet);
    }

    if (this.#next === this.#writing.length) {
      this.#mayDelayNextFlush = this.#frames >= MIN_FRAMES_PER_OUTLET * this.#writing.length;
      this.#writing = [];
      this.#next = 0;
      this.#frames = 0;
    }
    if (this.#writing.length > 0 || this.#waiting.length > 0) this.#schedule();
  }

  /** Delays the flush, if that pays; once, then it is written. Returns whether it did. */
  #delayFlush(): boolean {
    const { length } = this.#waiting;
    if (this.#flushDelayMs === 0 || !this.#mayDelayNextFlush || length < this.#minDelayedOutlets)
      return false;
    this.#mayDelayNextFlush = false;
    this.#scheduled = true;
    setTimeout(() => this.#writeSlice(), this.#flushDelayMs);
    return true;
  }
}
