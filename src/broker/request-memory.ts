/** How long after its first sight a `jti` is remembered. */
export const REMEMBERED_MS = 120_000;
const MAX_REQUESTS = 100_000;
/** What the answers may take, in bytes. */
const MAX_ANSWER_BYTES = 16 * 1_024 * 1_024;
/** How long a duplicate waits for the answer to a request that is still under way. */
export const ANSWER_WITHIN_MS = 2_000;

interface Seen {
  readonly since: number;
  /** Undefined while the request is under way. */
  answer: string | undefined;
  /** Duplicates that wait for the answer. */
  waiting: Set<(answer: string) => void> | undefined;
}

/**
 * Remembers publishing requests by their `jti`, so that a retry is answered and not delivered again. Bounded by age, by
 * number and by the size of the answers; the oldest go first.
 */
export class RequestMemory {
  /** In the order of their first sight. */
  readonly #seen = new Map<string, Seen>();
  #answerBytes = 0;

  /** How many requests are remembered. */
  get size(): number {
    return this.#seen.size;
  }

  has(jti: string): boolean {
    this.#forgetOld();
    return this.#seen.has(jti);
  }

  /**
   * The answer to a request that was seen before. One that is under way is waited for; undefined when it is not known
   * after two seconds, or the `jti` was never seen.
   */
  find(jti: string): string | undefined | Promise<string | undefined> {
    const seen = this.#seen.get(jti);
    return seen && answerTo(seen);
  }

  /** The request is under way from now on. To be called for a new `jti`, and followed by `finish`. */
  begin(jti: string): void {
    this.#seen.set(jti, { since: performance.now(), answer: undefined, waiting: undefined });
    if (this.#seen.size > MAX_REQUESTS) this.#forgetOldest();
  }

  /** The request has been answered: those who wait are told, and so are all that come later. */
  finish(jti: string, answer: string): void {
    const seen = this.#seen.get(jti);
    // Forgotten meanwhile, or answered by somebody else.
    if (seen === undefined || seen.answer !== undefined) return;
    seen.answer = answer;
    for (const tell of seen.waiting ?? []) tell(answer);
    seen.waiting = undefined;
    this.#answerBytes += answer.length;
    while (this.#answerBytes > MAX_ANSWER_BYTES) this.#forgetOldest();
  }

  #forgetOld(): void {
    const oldest = performance.now() - REMEMBERED_MS;
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
    this.#answerBytes -= this.#seen.get(jti)?.answer?.length ?? 0;
    this.#seen.delete(jti);
  }
}

function answerTo(seen: Seen): string | Promise<string | undefined> {
  const { answer } = seen;
  if (answer !== undefined) return answer;
  return new Promise((resolve) => {
    const tell = (late: string) => {
      clearTimeout(timer);
      resolve(late);
    };
    const timer = setTimeout(() => {
      seen.waiting?.delete(tell);
      resolve(undefined);
    }, ANSWER_WITHIN_MS);
    seen.waiting ??= new Set();
    seen.waiting.add(tell);
  });
}
