import type { PublishedBatch } from './broker.ts';

/** How long after its first sight a `jti` is remembered. */
const REMEMBERED_MS = 120_000;
const MAX_REQUESTS = 100_000;
/** What the answers may take, in bytes. */
const MAX_ANSWER_BYTES = 16 * 1_024 * 1_024;
/** How long a duplicate waits for the answer to a request that is still under way. */
const WAIT_MS = 2_000;

export interface RequestMemoryOptions {
  readonly rememberedMs?: number;
  readonly maxRequests?: number;
  readonly maxAnswerBytes?: number;
}

interface Seen {
  readonly since: number;
  /** Undefined while the request is under way. */
  answer: Answer | undefined;
  /** Duplicates that wait for the answer. */
  waiting: Set<(answer: Answer) => void> | undefined;
}

/** As it is kept: numbers as one text take a tenth of what an array of them takes. */
interface Answer {
  /** `2 5 0` */
  readonly deliveries: string;
  readonly isPartial: boolean;
}

/**
 * Remembers publishing requests by their `jti`, so that a retry is answered and not delivered again. Bounded by age, by
 * number and by the size of the answers; the oldest go first.
 */
export class RequestMemory {
  readonly #rememberedMs: number;
  readonly #maxRequests: number;
  readonly #maxAnswerBytes: number;
  /** In the order of their first sight. */
  readonly #seen = new Map<string, Seen>();
  #answerBytes = 0;

  constructor({
    rememberedMs = REMEMBERED_MS,
    maxRequests = MAX_REQUESTS,
    maxAnswerBytes = MAX_ANSWER_BYTES,
  }: RequestMemoryOptions = {}) {
    this.#rememberedMs = rememberedMs;
    this.#maxRequests = maxRequests;
    this.#maxAnswerBytes = maxAnswerBytes;
  }

  /** How many requests are remembered. */
  get size(): number {
    return this.#seen.size;
  }

  /**
   * The answer to a request that was seen before, undefined when the `jti` is new. One that is under way is waited for;
   * what is known of it after two seconds is partial and has no results.
   */
  find(jti: string): Promise<PublishedBatch> | undefined {
    this.#forgetOld();
    const seen = this.#seen.get(jti);
    return seen && answerTo(seen);
  }

  /** The request is under way from now on. To be called for a new `jti`, and followed by `finish`. */
  begin(jti: string): void {
    this.#seen.set(jti, { since: performance.now(), answer: undefined, waiting: undefined });
    if (this.#seen.size > this.#maxRequests) this.#forgetOldest();
  }

  /** The request has been handed out: those who wait are told, and so are all that come later. */
  finish(jti: string, { results, isPartial }: PublishedBatch): void {
    const seen = this.#seen.get(jti);
    // Forgotten meanwhile: the newest count.
    if (seen === undefined) return;
    const answer = { deliveries: results.join(' '), isPartial };
    seen.answer = answer;
    for (const tell of seen.waiting ?? []) tell(answer);
    seen.waiting = undefined;
    this.#answerBytes += answer.deliveries.length;
    while (this.#answerBytes > this.#maxAnswerBytes) this.#forgetOldest();
  }

  #forgetOld(): void {
    const oldest = performance.now() - this.#rememberedMs;
    for (const [jti, { since }] of this.#seen) {
      if (since > oldest) return;
      this.#forget(jti);
    }
  }

  #forgetOldest(): void {
    for (const jti of this.#seen.keys()) {
      this.#forget(jti);
      return;
    }
  }

  #forget(jti: string): void {
    this.#answerBytes -= this.#seen.get(jti)?.answer?.deliveries.length ?? 0;
    this.#seen.delete(jti);
  }
}

const UNKNOWN: PublishedBatch = { results: [], isPartial: true, isDuplicate: true };

function answerTo(seen: Seen): Promise<PublishedBatch> {
  const { answer } = seen;
  if (answer !== undefined) return Promise.resolve(toPublished(answer));
  return new Promise((resolve) => {
    const tell = (late: Answer) => {
      clearTimeout(timer);
      resolve(toPublished(late));
    };
    const timer = setTimeout(() => {
      seen.waiting?.delete(tell);
      resolve(UNKNOWN);
    }, WAIT_MS);
    seen.waiting ??= new Set();
    seen.waiting.add(tell);
  });
}

function toPublished({ deliveries, isPartial }: Answer): PublishedBatch {
  return { results: deliveries.split(' ').map(Number), isPartial, isDuplicate: true };
}
