import type { IncomingMessage } from 'node:http';
import { HttpError } from './http-error.ts';

/** The path of a request, without its query string and one trailing slash. */
export function pathOf(request: IncomingMessage): string {
  // Servers must accept the absolute form of a request target too (RFC 9112 §3.2.2).
  const { url = '' } = request;
  const target = url.startsWith('/') ? url : url.replace(/^https?:\/\/[^/?#]*/i, '');
  const query = target.indexOf('?');
  const path = query === -1 ? target : target.slice(0, query);
  return path.length > 1 && path.endsWith('/') ? path.slice(0, -1) : path || '/';
}

/** The query string of a request, without its question mark; empty if it has none. */
export function queryOf({ url = '' }: IncomingMessage): string {
  const start = url.indexOf('?');
  return start === -1 ? '' : url.slice(start + 1);
}

/**
 * Throws unless the request has exactly one `Host` field (RFC 9112 §3.2); HTTP/1.0 may have none.
 * Node's own check answers without a body and accepts two fields.
 */
export function checkHost(request: IncomingMessage): void {
  const { rawHeaders } = request;
  let hosts = 0;
  // `headers` has only the first of several `Host` fields.
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index];
    if (name?.length === 4 && name.toLowerCase() === 'host') hosts += 1;
  }
  if (hosts > 1) throw new HttpError(400, 'Host header must be single', { Connection: 'close' });
  if (hosts === 0 && request.httpVersion === '1.1') {
    throw new HttpError(400, 'Host header is required', { Connection: 'close' });
  }
}

/**
 * True if the request opens a websocket (RFC 6455 §4.1). Any other `Upgrade` is an offer that a server may ignore
 * (RFC 9110 §7.8): Java's HttpClient, for one, offers `h2c` with every plain request.
 */
export function isWebsocketUpgrade(request: IncomingMessage): boolean {
  return (
    request.method === 'GET' &&
    // RFC 9110 §7.8: a server must ignore the field in HTTP/1.0.
    request.httpVersion === '1.1' &&
    request.headers.upgrade?.toLowerCase() === 'websocket'
  );
}
