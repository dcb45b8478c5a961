/** A message that has not come within this time is lost. */
const LOST_AFTER_MS = 20_000;

/** What the control group saw since the last report. */
export interface ControlReport {
  readonly published: number;
  readonly deliveries: number;
  readonly lost: number;
  readonly doubled: number;
  readonly reordered: number;
  /** From a POST until the last subscriber had its message, for the slowest message. */
  readonly slowestMs: number;
  readonly faults: readonly string[];
}

interface PendingMessage {
  readonly text: string;
  readonly postedAt: number;
  /** Subscribers that have not received it yet. */
  missing: number;
}

const EMPTY_COUNTS = {
  published: 0,
  deliveries: 0,
  lost: 0,
  doubled: 0,
  reordered: 0,
  slowestMs: 0,
};

/** Compares what the control group publishes with what its subscribers receive. */
export class ControlDeliveries {
  #counts = { ...EMPTY_COUNTS };
  #faults = new Set<string>();
  /** By sequence number. */
  readonly #pending = new Map<number, PendingMessage>();
  #wake = () => {};

  addFault(text: string): void {
    this.#faults.add(text);
    this.#wake();
  }

  addPublished(sequence: number, text: string, subscribers: number): void {
    this.#pending.set(sequence, { text, postedAt: performance.now(), missing: subscribers });
    this.#counts.published += 1;
  }

  /** A subscriber received its first message with this sequence number. */
  addDelivery(sequence: number, text: string, isReordered: boolean): void {
    if (isReordered) this.#counts.reordered += 1;
    const message = this.#pending.get(sequence);
    if (message?.text !== text) {
      this.addFault(`control subscriber got what nobody sent: ${text.slice(0, 80)}`);
      return;
    }
    this.#counts.deliveries += 1;
    message.missing -= 1;
    if (message.missing > 0) return;
    const ms = performance.now() - message.postedAt;
    this.#counts.slowestMs = Math.max(this.#counts.slowestMs, ms);
    this.#pending.delete(sequence);
    this.#wake();
  }

  /** A subscriber received a message again. */
  addDouble(): void {
    this.#counts.doubled += 1;
  }

  /** Resolves when every subscriber has received everything. Counts what does not come as lost. */
  async untilComplete(): Promise<void> {
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      this.#wake();
    }, LOST_AFTER_MS);
    while (this.#pending.size > 0 && !isLate) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    clearTimeout(timer);
    for (const { missing } of this.#pending.values()) this.#counts.lost += missing;
    this.#pending.clear();
  }

  /** What happened since the last call. */
  takeReport(): ControlReport {
    const report = { ...this.#counts, faults: [...this.#faults] };
    this.#counts = { ...EMPTY_COUNTS };
    this.#faults = new Set();
    return report;
  }
}
