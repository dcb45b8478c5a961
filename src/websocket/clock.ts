/** A longer gap between two ticks was no load. The process stood still: SIGSTOP, a closed lid, a snapshot of its VM. */
const MAX_GAP_MS = 1_000;

/**
 * The time that peers are judged by. It runs while this process does: a standstill counts as a second at most. Nobody
 * could be heard in it, and what fell due in it would all be done in one turn, from then on together.
 */
export class Clock {
  readonly #tickMs: number;
  #counted = 0;
  #tickedAt = performance.now();

  constructor(tickMs: number) {
    this.#tickMs = tickMs;
  }

  /** Milliseconds since it was made. */
  now(): number {
    return this.#counted + Math.min(performance.now() - this.#tickedAt, MAX_GAP_MS);
  }

  /** Calls `onTick` once a tick. Returns the function that stops it. */
  start(onTick: () => void): () => void {
    let isPutOff = false;
    const timer = setInterval(() => {
      const now = performance.now();
      const gap = now - this.#tickedAt;
      this.#counted += Math.min(gap, MAX_GAP_MS);
      this.#tickedAt = now;
      if (isPutOff) return;
      if (gap < 2 * this.#tickMs) {
        onTick();
        return;
      }
      // Timers come before input in a turn of the event loop. After a tick that is late, the answers of peers may still
      // be in the kernel's buffers: they are read before anybody is judged.
      isPutOff = true;
      setImmediate(() => {
        isPutOff = false;
        onTick();
      });
    }, this.#tickMs);
    return () => clearInterval(timer);
  }
}
