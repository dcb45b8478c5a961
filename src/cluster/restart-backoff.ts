/** A worker that lived this long did not die of a failing start: the backoff begins anew. */
const STABLE_MS = 10_000;
const MIN_BACKOFF_MS = 100;
const MAX_BACKOFF_MS = 10_000;

/** How long to wait before a worker is started in place of one that died. The delays double. */
export class RestartBackoff {
  #delayMs = 0;

  /** The delay in milliseconds; `livedMs` is how long the worker has lived. */
  next(livedMs: number): number {
    if (livedMs > STABLE_MS) this.#delayMs = 0;
    const doubled = Math.max(this.#delayMs * 2, MIN_BACKOFF_MS);
    this.#delayMs = Math.min(doubled, MAX_BACKOFF_MS);
    return this.#delayMs;
  }
}
