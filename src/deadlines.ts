/** Somebody whose time may run out. */
export interface Expiring {
  expire(): void;
}

/**
 * Ends what must end by a certain time. Driven by the server's one timer: a wheel with a slot a tick, so that
 * thousands of deadlines cost no timer of their own and setting or clearing one costs the same however many there are.
 */
export class Deadlines {
  readonly #tickMs: number;
  readonly #slots = new Map<number, Set<Expiring>>();
  /** The last slot that has passed. */
  #passed: number;

  constructor(tickMs: number) {
    this.#tickMs = tickMs;
    this.#passed = this.#slotAt(performance.now());
  }

  /** Calls `expire` at the first tick after `delayMs`. Returns the slot to name when it is cleared. */
  set(item: Expiring, delayMs: number): number {
    const slot = Math.max(this.#slotAt(performance.now() + delayMs), this.#passed) + 1;
    let items = this.#slots.get(slot);
    if (items === undefined) {
      items = new Set();
      this.#slots.set(slot, items);
    }
    items.add(item);
    return slot;
  }

  /** Safe to call for a deadline that has passed. */
  clear(item: Expiring, slot: number): void {
    const items = this.#slots.get(slot);
    items?.delete(item);
    if (items?.size === 0) this.#slots.delete(slot);
  }

  tick(): void {
    const now = this.#slotAt(performance.now());
    // A late timer, or a machine that slept, may have to make up for several.
    while (this.#passed < now) {
      this.#passed += 1;
      const items = this.#slots.get(this.#passed);
      this.#slots.delete(this.#passed);
      for (const item of items ?? []) item.expire();
    }
  }

  #slotAt(time: number): number {
    return Math.floor(time / this.#tickMs);
  }
}
