/** What is passed one by one although nobody may be in it. */
const MANY_SLOTS = 1_000;

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
    if (now - this.#passed <= Math.max(this.#slots.size, MANY_SLOTS)) {
      // A late timer may have to make up for several.
      while (this.#passed < now) this.#pass(this.#passed + 1);
    } else {
      // A clock may leap, that on the wall by years: only the slots that somebody is in are looked at.
      const due = [...this.#slots.keys()].filter((slot) => slot <= now);
      for (const slot of due.sort((a, b) => a - b)) this.#pass(slot);
    }
    // It may also leap back.
    this.#passed = now;
  }

  #pass(slot: number): void {
    this.#passed = slot;
    const items = this.#slots.get(slot);
    this.#slots.delete(slot);
    for (const item of items ?? []) this.#onDue(item);
  }

  #slotAt(time: number): number {
    return Math.floor(time / this.#tickMs);
  }
}
