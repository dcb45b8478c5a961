import { HttpError } from './http-error.ts';

/** A body of which a part has come. Its fields are the budget's to change. */
export interface UnfinishedBody {
  /** What the order goes by: the bytes that have come, and what an excess of header fields takes. */
  size: number;
  /** The memory that it takes. */
  heldBytes: number;
  /** The later it was first counted, the higher. */
  order: number;
  /** Its place in the budget's heap; -1 for none. */
  place: number;
  /** Frees what it holds and ends its request. The budget counts it no more. */
  refuse(error: HttpError): void;
}

const MIN_BUDGET_BYTES = 64 * 1_024 * 1_024;
/** How many bodies of the allowed length there is always room for. */
const MIN_BODIES = 16;

/**
 * What all unfinished bodies of this process may hold. Above it the largest is refused, of equals the oldest: stalled
 * bodies go before the small broadcast of an app.
 */
export class BodyBudget {
  readonly #maxBytes: number;
  /** A binary heap: strangers may stall thousands of bodies and make each grow by a byte at a time. */
  readonly #heap: UnfinishedBody[] = [];
  #heldBytes = 0;
  #counted = 0;

  constructor(maxBodyBytes: number) {
    this.#maxBytes = Math.max(MIN_BUDGET_BYTES, MIN_BODIES * maxBodyBytes);
  }

  /** The memory that all unfinished bodies take. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** Counts that a body has grown, which may be the end of it or of another. */
  grow(body: UnfinishedBody, sizeBytes: number, heldBytes: number): void {
    if (body.place === -1) {
      body.order = this.#counted;
      this.#counted += 1;
      body.place = this.#heap.push(body) - 1;
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
    const { place } = body;
    if (place === -1) return;
    body.place = -1;
    this.#heldBytes -= body.heldBytes;
    const last = this.#heap.pop();
    if (last === undefined || last === body) return;
    this.#put(last, place);
    this.#rise(last);
    this.#sink(last);
  }

  #rise(body: UnfinishedBody): void {
    while (body.place > 0) {
      const { place } = body;
      const parent = this.#heap[(place - 1) >> 1];
      if (parent === undefined || !goesBefore(body, parent)) return;
      this.#put(body, parent.place);
      this.#put(parent, place);
    }
  }

  #sink(body: UnfinishedBody): void {
    for (;;) {
      const { place } = body;
      const left = this.#heap[2 * place + 1];
      const right = this.#heap[2 * place + 2];
      if (left === undefined) return;
      const child = right !== undefined && goesBefore(right, left) ? right : left;
      if (!goesBefore(child, body)) return;
      this.#put(body, child.place);
      this.#put(child, place);
    }
  }

  #put(body: UnfinishedBody, place: number): void {
    this.#heap[place] = body;
    body.place = place;
  }
}

function goesBefore(one: UnfinishedBody, other: UnfinishedBody): boolean {
  return one.size > other.size || (one.size === other.size && one.order < other.order);
}
