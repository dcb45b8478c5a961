import { setTimeout as delay } from 'node:timers/promises';

/** Resolves to undefined when `promise` has not settled after `ms` milliseconds. Keeps no timer. */
export async function withTimeout<T>(promise: Promise<T>, ms: number): Promise<T | undefined> {
  const timeout = new AbortController();
  const late = delay(ms, undefined, { signal: timeout.signal }).catch(() => undefined);
  try {
    return await Promise.race([promise, late]);
  } finally {
    timeout.abort();
  }
}
