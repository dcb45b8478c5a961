import type { BatchCount } from './node-messages.ts';

/** Of one batch of one node. */
interface Counted {
  readonly node: string;
  readonly id: number;
  readonly counts: BatchCount[];
}

/** Collects what is counted of batches in one turn of the event loop, so that each is answered with one text. */
export class BatchCounts {
  readonly #byBatch = new Map<string, Counted>();
  readonly #send: (node: string, id: number, counts: readonly BatchCount[]) => void;

  /** `send` must not throw. */
  constructor(send: (node: string, id: number, counts: readonly BatchCount[]) => void) {
    this.#send = send;
  }

  add(node: string, id: number, count: BatchCount): void {
    const key = `${node} ${id}`;
    const batch = this.#byBatch.get(key);
    if (batch !== undefined) {
      batch.counts.push(count);
      return;
    }
    if (this.#byBatch.size === 0) setImmediate(() => this.#sendAll());
    this.#byBatch.set(key, { node, id, counts: [count] });
  }

  #sendAll(): void {
    const batches = [...this.#byBatch.values()];
    this.#byBatch.clear();
    for (const { node, id, counts } of batches) this.#send(node, id, counts);
  }
}
