/**
 * A longer gap between two ticks cannot come from load alone: the process was suspended (SIGSTOP, a closed laptop lid,
 * a VM snapshot).
 */
const MAX_GAP_MS = 1_000;

/**
 * The time that timeouts of peers are measured in. A suspension of this process counts as one second at most, because
 * the process could not hear its peers meanwhile. Counted in full, all timers would also fire in one turn, and every
 * interval would stay in step from then on.
 */
export class Clock {
  readonly #tickMs: number;
  /** Milliseconds up to the last tick. */
  #countedMs = 0;
  #tickedAt = performance.now();

  constructor(tickMs: number) {
    this.#tickMs = tickMs;
  }

  /** Milliseconds since the clock was created, without suspensions. */
  now(): number {
    return this.#countedMs + Math.min(performance.now() - this.#tickedAt, MAX_GAP_MS);
  }

  /** Calls `onTick` every `tickMs`. Returns the function that stops it. */
  start(onTick: () => void): () => void {
    let isDeferred = false;
    const timer = setInterval(() => {
      const now = performance.now();
      const gap = now - this.#tickedAt;
      this.#countedMs += Math.min(gap, MAX_GAP_MS);
      this.#tickedAt = now;
      if (isDeferred) return;
      if (gap < 2 * this.#tickMs) {
        onTick();
        return;
      }
      // In a turn of the event loop, timers run before input is read. After a late tick the pongs of peers may still be
      // in the kernel's buffers. They are read first, or healthy peers would be ended.
      isDeferred = true;
      setImmediate(() => {
        isDeferred = false;
        onTick();
      });
    }, this.#tickMs);
    return () => clearInterval(timer);
  }
}
