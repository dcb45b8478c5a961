import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { Registry } from 'prom-client';
import { HttpError } from './http-error.ts';
import type { Reply } from './reply.ts';
import type { Handler } from './router.ts';

/** `GET /metrics`: the text that `read` resolves to, behind a bearer token (RFC 6750) if `token` is given. */
export function metricsHandler(read: () => Promise<string>, token: string | undefined): Handler {
  const expected = token === undefined ? undefined : digest(`Bearer ${token}`);
  return (request, respond) => {
    if (expected !== undefined) checkAuthorization(request, expected);
    read().then(toReply).then(respond, respond);
  };
}

function checkAuthorization({ headers }: IncomingMessage, expected: Buffer): void {
  // Digests are equally long whatever was sent, so the comparison always takes the same time.
  if (timingSafeEqual(digest(headers.authorization ?? ''), expected)) return;
  throw new HttpError(401, 'Bearer token required', { 'WWW-Authenticate': 'Bearer' });
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

function toReply(body: string): Reply {
  return { status: 200, contentType: Registry.PROMETHEUS_CONTENT_TYPE, body };
}
