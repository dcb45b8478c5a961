/** What a wheel goes by. */
export interface TimeSource {
  /** In milliseconds, from whatever moment. */
  now(): number;
}

/**
 * Many deadlines, one timer: slots of a tick each, so that setting or clearing one costs the same however many there
 * are. Somebody else's timer drives it, by `tick`.
 */
export class Wheel<T> {
  readonly #tickMs: number;
  readonly #clock: TimeSource;
  readonly #onDue: (item: T) => void;
  readonly #slots = new Map<number, Set<T>>();
  /** The last slot that has passed. */
  #passed: number;

  /** `onDue` may set and clear. */
  constructor(tickMs: number, clock: TimeSource, onDue: (item: T) => void) {
    this.#tickMs = tickMs;
    this.#clock = clock;
    this.#onDue = onDue;
    this.#passed = this.#slotAt(this.#clock.now());
  }

  /** The item is due at the first tick after `delayMs`. Returns the slot to name when it is cleared. */
  set(item: T, delayMs: number): number {
    const slot = Math.max(this.#slotAt(this.#clock.now() + delayMs), this.#passed) + 1;
    let items = this.#slots.get(slot);
    if (items === undefined) {
      items = new Set();
      this.#slots.set(slot, items);
    }
    items.add(item);
    return slot;
  }

  /** Safe to call for a slot that has passed. */
  clear(item: T, slot: number): void {
    const items = this.#slots.get(slot);
    items?.delete(item);
    if (items?.size === 0) this.#slots.delete(slot);
  }

  tick(): void {
    const now = this.#slotAt(this.#clock.now());
    // A late timer, or a machine that slept, may have to make up for several.
    while (this.#passed < now) {
      this.#passed += 1;
      const items = this.#slots.get(this.#passed);
      this.#slots.delete(this.#passed);
      for (const item of items ?? []) this.#onDue(item);
    }
  }

  #slotAt(time: number): number {
    return Math.floor(time / this.#tickMs);
  }
}
