/** After this long without a single arrival, what is missing is lost. */
const PATIENCE_MS = 10_000;

/** What arrived. */
export interface Deliveries {
  readonly frames: number;
  /** Reads from a socket that brought at least a byte. */
  readonly reads: number;
  /** What these reads brought. */
  readonly bytes: number;
  /** When the last subscriber had its n-th frame, in nanoseconds of the machine's monotonic clock. */
  readonly completedAtNs: Float64Array;
}

/** Counts what each of many subscribers receives, until all have all of it. */
export class Tally {
  #frames = 0;
  #reads = 0;
  #bytes = 0;
  #fault: Error | undefined;
  #finish = () => {};
  readonly #total: number;
  /** How many subscribers lack their n-th frame. */
  readonly #missing: Int32Array;
  readonly #completedAtNs: Float64Array;
  readonly #onArrival: () => void;

  /** Expects `framesEach` from each of `subscribers`; tells `onArrival` whenever all have one more. */
  constructor(subscribers: number, framesEach: number, onArrival = () => {}) {
    this.#onArrival = onArrival;
    this.#total = subscribers * framesEach;
    this.#missing = new Int32Array(framesEach).fill(subscribers);
    this.#completedAtNs = new Float64Array(framesEach);
  }

  countRead(bytes: number): void {
    this.#reads++;
    this.#bytes += bytes;
  }

  /** Counts the `index`-th frame, from 0, of one subscriber. */
  countFrame(index: number): void {
    if (index >= this.#missing.length) {
      this.fail(new Error('A subscriber received more than was sent'));
      return;
    }
    const missing = (this.#missing[index] ?? 0) - 1;
    this.#missing[index] = missing;
    if (missing === 0) {
      this.#completedAtNs[index] = Number(process.hrtime.bigint());
      this.#onArrival();
    }
    this.#frames++;
    if (this.#frames === this.#total) this.#finish();
  }

  /** Makes `complete` reject with the first `error`, whatever else comes. */
  fail(error: Error): void {
    this.#fault ??= error;
    this.#finish();
  }

  /** Resolves when everything has come; rejects on a fault, or when nothing comes any more. */
  async complete(): Promise<Deliveries> {
    if (this.#fault === undefined && this.#frames < this.#total) await this.#wait();
    if (this.#fault !== undefined) throw this.#fault;
    if (this.#frames < this.#total) {
      throw new Error(
        `${this.#total - this.#frames} of ${this.#total} frames are missing, none in the last ${PATIENCE_MS} ms`,
      );
    }
    return {
      frames: this.#frames,
      reads: this.#reads,
      bytes: this.#bytes,
      completedAtNs: this.#completedAtNs,
    };
  }

  #wait(): Promise<void> {
    return new Promise((resolve) => {
      let seen = this.#frames;
      const timer = setInterval(() => {
        if (this.#frames === seen) this.#finish();
        seen = this.#frames;
      }, PATIENCE_MS);
      this.#finish = () => {
        clearInterval(timer);
        resolve();
      };
    });
  }
}
