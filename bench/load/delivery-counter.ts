/** When no frame has arrived for this long, the missing ones are lost. */
const TIMEOUT_MS = 10_000;

/** What all subscribers together have received. */
export interface Deliveries {
  readonly frames: number;
  /** Reads from sockets that returned data. */
  readonly reads: number;
  /** Read from sockets, frame headers included. */
  readonly bytes: number;
  /** When the last subscriber received its n-th frame, in nanoseconds of the machine's monotonic clock. */
  readonly completedAtNs: Float64Array;
}

/** Counts what many subscribers receive until each has the same number of frames. */
export class DeliveryCounter {
  #frames = 0;
  #reads = 0;
  #bytes = 0;
  #error: Error | undefined;
  #finish = () => {};
  readonly #total: number;
  /** How many subscribers have not received their n-th frame yet. */
  readonly #missing: Int32Array;
  readonly #completedAtNs: Float64Array;
  readonly #onCompleted: () => void;

  /** Expects `framesEach` frames for each of `subscribers`. Calls `onCompleted` whenever all have one more. */
  constructor(subscribers: number, framesEach: number, onCompleted = () => {}) {
    this.#onCompleted = onCompleted;
    this.#total = subscribers * framesEach;
    this.#missing = new Int32Array(framesEach).fill(subscribers);
    this.#completedAtNs = new Float64Array(framesEach);
  }

  countRead(bytes: number): void {
    this.#reads++;
    this.#bytes += bytes;
  }

  /** Counts a frame of one subscriber; `index` is the number of frames that it had before. */
  countFrame(index: number): void {
    if (index >= this.#missing.length) {
      this.fail(new Error('A subscriber received more than was sent'));
      return;
    }
    const missing = (this.#missing[index] ?? 0) - 1;
    this.#missing[index] = missing;
    if (missing === 0) {
      this.#completedAtNs[index] = Number(process.hrtime.bigint());
      this.#onCompleted();
    }
    this.#frames++;
    if (this.#frames === this.#total) this.#finish();
  }

  /** Makes `complete` reject. The first error wins. */
  fail(error: Error): void {
    this.#error ??= error;
    this.#finish();
  }

  /** Resolves when all frames have arrived. Rejects after `fail`, or when frames are missing and no more arrive. */
  async complete(): Promise<Deliveries> {
    if (this.#error === undefined && this.#frames < this.#total) await this.#wait();
    if (this.#error !== undefined) throw this.#error;
    if (this.#frames < this.#total) {
      throw new Error(
        `${this.#total - this.#frames} of ${this.#total} frames are missing, none in the last ${TIMEOUT_MS} ms`,
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
      }, TIMEOUT_MS);
      this.#finish = () => {
        clearInterval(timer);
        resolve();
      };
    });
  }
}
