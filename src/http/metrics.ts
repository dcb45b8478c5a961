import { createHash, timingSafeEqual } from 'node:crypto';
import { Registry } from 'prom-client';
import { HttpError } from './http-error.ts';
import type { Handler } from './router.ts';

/** `GET /metrics`: what `read` resolves to, behind a bearer token (RFC 6750) when there is one. */
export function metricsHandler(read: () => Promise<string>, token: string | undefined): Handler {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  const expected = token === undefined ? undefined : digest(`Bearer ${token}`);

  return async ({ headers }) => {
    // Digests have one length, whatever was sent, so the comparison takes one time.
    if (expected && !timingSafeEqual(digest(headers.authorization ?? ''), expected)) {
      throw new HttpError(401, 'Bearer token required', { 'WWW-Authenticate': 'Bearer' });
    }
    return { status: 200, contentType: Registry.PROMETHEUS_CONTENT_TYPE, body: await read() };
  };
}
