/**
 * Up to this many elapsed slots are visited one by one, empty or not. Beyond it only the occupied slots are looked up,
 * since a clock may leap by years.
 */
const MAX_SLOT_STEPS = 1_000;

/** The clock that a timer wheel goes by. */
export interface TimeSource {
  /** Milliseconds since a fixed moment of its own. */
  now(): number;
}

/**
 * Timers for many items, kept in slots of one tick each, so that setting and clearing cost the same however many items
 * there are. The owner calls `tick` from one timer of its own.
 */
export class TimerWheel<T> {
  readonly #tickMs: number;
  readonly #clock: TimeSource;
  readonly #onDue: (item: T) => void;
  readonly #slots = new Map<number, Set<T>>();
  /** The last slot whose items were called. */
  #lastSlot: number;

  /** `onDue` may set and clear timers. */
  constructor(tickMs: number, clock: TimeSource, onDue: (item: T) => void) {
    this.#tickMs = tickMs;
    this.#clock = clock;
    this.#onDue = onDue;
    this.#lastSlot = this.#slotAt(this.#clock.now());
  }

  /** The item is due at the first tick after `delayMs`. Returns its slot, which `clear` needs. */
  set(item: T, delayMs: number): number {
    const slot = Math.max(this.#slotAt(this.#clock.now() + delayMs), this.#lastSlot) + 1;
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
    if (now - this.#lastSlot <= Math.max(this.#slots.size, MAX_SLOT_STEPS)) {
      // A late tick has several slots to make up for.
      while (this.#lastSlot < now) this.#callItemsOf(this.#lastSlot + 1);
    } else {
      const due = [...this.#slots.keys()].filter((slot) => slot <= now);
      for (const slot of due.sort((a, b) => a - b)) this.#callItemsOf(slot);
    }
    // The clock may also have leapt back.
    this.#lastSlot = now;
  }

  #callItemsOf(slot: number): void {
    this.#lastSlot = slot;
    const items = this.#slots.get(slot);
    this.#slots.delete(slot);
    for (const item of items ?? []) this.#onDue(item);
  }

  #slotAt(time: number): number {
    return Math.floor(time / this.#tickMs);
  }
}
