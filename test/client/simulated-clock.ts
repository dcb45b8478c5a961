import { onTestFinished, vi } from 'vitest';
import type { Random } from '../support/random.ts';

type Callback = () => void;

/** Time that stands still until the test lets it go on, stays fast with thousands of timers, and leaves nothing to luck. */
export class SimulatedClock {
  #now = 1_800_000_000_000;
  /** When → the timers that are due then. */
  readonly #due = new Map<number, Set<Callback>>();

  /** `chance` is what `Math.random` gives. */
  constructor(chance: Random) {
    vi.stubGlobal('setTimeout', (callback: Callback, ms: number) => {
      const at = this.#now + Math.max(1, Math.ceil(ms));
      // Each has an identity of its own, though the callback may be the same.
      const timer = { at, run: () => callback() };
      this.#due.set(at, (this.#due.get(at) ?? new Set()).add(timer.run));
      return timer;
    });
    vi.stubGlobal('clearTimeout', (timer?: { at: number; run: Callback }) => {
      if (timer) this.#due.get(timer.at)?.delete(timer.run);
    });
    // Not spies, which would remember every call.
    const { now } = Date;
    const { random } = Math;
    Date.now = () => this.#now;
    Math.random = () => chance.fraction();
    onTestFinished(() => {
      Date.now = now;
      Math.random = random;
      vi.unstubAllGlobals();
    });
  }

  /** Timers that have neither run nor been cleared. */
  get timers(): number {
    return [...this.#due.values()].reduce((sum, { size }) => sum + size, 0);
  }

  /** Runs what is due within so many milliseconds, each with all that follows from it. */
  async pass(ms: number): Promise<void> {
    await this.#settle();
    for (const end = this.#now + ms; this.#now < end; ) {
      this.#now += 1;
      const callbacks = this.#due.get(this.#now);
      if (callbacks === undefined) continue;
      // One that runs may clear another.
      for (const callback of callbacks) callback();
      this.#due.delete(this.#now);
      await this.#settle();
    }
  }

  /** Those who wait for promises that are resolved go on, and those who wait for them. */
  async #settle(): Promise<void> {
    for (let turn = 0; turn < 10; turn += 1) await undefined;
  }
}
