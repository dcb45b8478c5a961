/** A little less than the second after which counts come again: timers are not exact. */
const MIN_INTERVAL_MS = 900;

/** Tells the person at a terminal how far a drain has come, in at most one line a second. */
export class DrainProgress {
  readonly #print: (line: string) => void;
  readonly #drainMs: number;
  #printed: number | undefined;
  #printedAtMs = 0;

  constructor(drainMs: number, print: (line: string) => void) {
    this.#drainMs = drainMs;
    this.#print = print;
  }

  /** To be called at the beginning and from then on again and again. `left` is how many websockets are still open. */
  report(left: number): void {
    const now = performance.now();
    if (left === 0 || left === this.#printed) return;
    if (this.#printed === undefined) this.#print(this.#firstLine(left));
    else if (now - this.#printedAtMs < MIN_INTERVAL_MS) return;
    else this.#print(`${websockets(left)} left`);
    this.#printed = left;
    this.#printedAtMs = now;
  }

  #firstLine(left: number): string {
    const within = this.#drainMs === 0 ? '' : ` within ${this.#drainMs / 1_000} s`;
    return `Closing ${websockets(left)}${within}. Ctrl-C again ends it at once.`;
  }
}

function websockets(count: number): string {
  return count === 1 ? '1 websocket' : `${count} websockets`;
}
