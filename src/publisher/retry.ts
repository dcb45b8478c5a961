import { MAX_BACKOFF_MS, MIN_BACKOFF_MS } from './limits.ts';

/** What `fetch` rejects with. Each runtime has its own place for what went wrong. */
export interface FetchFailure {
  readonly code?: string;
  readonly cause?: { readonly code?: string };
}

/**
 * How long to wait for the next attempt. `retryAfter` is the header (RFC 9110 §10.2.3: seconds or a date), `random` is
 * from 0 to 1: full jitter, so that publishers that failed together do not come back together.
 */
export const retryDelayMs = (
  elapsedMs: number,
  retryAfter: string | null | undefined,
  random: number,
): number =>
  // What is missing or malformed becomes NaN on the way, or the 0 of null.
  Math.max(
    0,
    (retryAfter as unknown as number) * 1_000 || Date.parse(retryAfter as string) - Date.now() || 0,
  ) +
  random * Math.min(MIN_BACKOFF_MS + elapsedMs, MAX_BACKOFF_MS);

/**
 * Whether `fetch` failed before it had a connection, so that nothing can have arrived. Node says so in the cause or in
 * its code, Bun in the code, Deno in the text of the cause: `ECONNREFUSED`, `ENOTFOUND`, `EAI_AGAIN`, `(Connect)`.
 */
export const neverConnected = (error: FetchFailure): boolean =>
  /refused|ENOTF|EAI_|\(Connect/i.test(`${[error, error.code, error.cause, error.cause?.code]}`);
