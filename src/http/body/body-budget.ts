import { HttpError } from '../http-error.ts';

/** A body that has not come whole yet. Only the budget changes its fields. */
export interface UnfinishedBody {
  /** Bytes that have come, and the bytes of too many header fields. The largest body is refused first. */
  size: number;
  /** Bytes of memory that it takes. */
  heldBytes: number;
  /** Rises from body to body, in the order in which they were first counted. */
  sequence: number;
  /** Index in the budget's heap; -1 while the budget does not count it. */
  heapIndex: number;
  /** Frees what it holds and ends its request. Called after the budget has removed it. */
  refuse(error: HttpError): void;
}

const MIN_BUDGET_BYTES = 64 * 1_024 * 1_024;
/** Bodies of the allowed length for which there is always room. */
const MIN_BODIES = 16;

/**
 * Bounds the memory of all unfinished bodies of this process. Above the bound the largest is refused, of equals the
 * oldest, so that the stalled bodies of strangers are refused before the small broadcast of an app.
 */
export class BodyBudget {
  /** The most bytes that one body may have. Its reader sees to that. */
  readonly maxBodyBytes: number;
  readonly #maxBytes: number;
  /** A binary heap: strangers may stall thousands of bodies and let each grow byte by byte. */
  readonly #heap: UnfinishedBody[] = [];
  #heldBytes = 0;
  #nextSequence = 0;

  constructor(maxBodyBytes: number) {
    this.maxBodyBytes = maxBodyBytes;
    this.#maxBytes = Math.max(MIN_BUDGET_BYTES, MIN_BODIES * maxBodyBytes);
  }

  /** Bytes of memory that all unfinished bodies take. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** Counts that a body has grown. Above the bound this refuses it, or others. */
  grow(body: UnfinishedBody, sizeBytes: number, heldBytes: number): void {
    if (body.heapIndex === -1) {
      body.sequence = this.#nextSequence;
      this.#nextSequence += 1;
      body.heapIndex = this.#heap.push(body) - 1;
    }
    body.size += sizeBytes;
    body.heldBytes += heldBytes;
    this.#heldBytes += heldBytes;
    this.#rise(body);

    while (this.#heldBytes > this.#maxBytes) {
      const [largest] = this.#heap;
      if (largest === undefined) return;
      this.remove(largest);
      largest.refuse(
        new HttpError(503, 'Too many requests', { 'Retry-After': '1', Connection: 'close' }),
      );
    }
  }

  /** Safe to call for a body that was never counted, or twice. */
  remove(body: UnfinishedBody): void {
    const index = body.heapIndex;
    if (index === -1) return;
    body.heapIndex = -1;
    this.#heldBytes -= body.heldBytes;
    const last = this.#heap.pop();
    if (last === undefined || last === body) return;
    this.#put(last, index);
    this.#rise(last);
    this.#sink(last);
  }

  #rise(body: UnfinishedBody): void {
    while (body.heapIndex > 0) {
      const index = body.heapIndex;
      const parent = this.#heap[(index - 1) >> 1];
      if (parent === undefined || !isRefusedBefore(body, parent)) return;
      this.#put(body, parent.heapIndex);
      this.#put(parent, index);
    }
  }

  #sink(body: UnfinishedBody): void {
    for (;;) {
      const index = body.heapIndex;
      const left = this.#heap[2 * index + 1];
      const right = this.#heap[2 * index + 2];
      if (left === undefined) return;
      const child = right !== undefined && isRefusedBefore(right, left) ? right : left;
      if (!isRefusedBefore(child, body)) return;
      this.#put(body, child.heapIndex);
      this.#put(child, index);
    }
  }

  #put(body: UnfinishedBody, index: number): void {
    this.#heap[index] = body;
    body.heapIndex = index;
  }
}

function isRefusedBefore(one: UnfinishedBody, other: UnfinishedBody): boolean {
  return one.size > other.size || (one.size === other.size && one.sequence < other.sequence);
}
