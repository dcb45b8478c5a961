import type { IncomingMessage, ServerResponse } from 'node:http';
import { HttpError } from './http-error.ts';

/** The path of a request without query string and without one trailing slash. */
export function pathOf(request: IncomingMessage): string {
  // The absolute form of a request target must be accepted too (RFC 9112 §3.2.2).
  const { url = '' } = request;
  const target = url.startsWith('/') ? url : url.replace(/^https?:\/\/[^/?#]*/i, '');
  const query = target.indexOf('?');
  const path = query === -1 ? target : target.slice(0, query);
  return path.length > 1 && path.endsWith('/') ? path.slice(0, -1) : path || '/';
}

/** Throws when there is not one such field (RFC 9112 §3.2). Node's own refusal has no body, and lets two pass. */
export function checkHost(request: IncomingMessage): void {
  const { rawHeaders } = request;
  let hosts = 0;
  // Of several fields Node keeps the first in `headers` and says nothing of the others.
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index];
    if (name?.length === 4 && name.toLowerCase() === 'host') hosts += 1;
  }
  if (hosts > 1) throw new HttpError(400, 'Host header must be single', { Connection: 'close' });
  if (hosts === 0 && request.httpVersion === '1.1') {
    throw new HttpError(400, 'Host header is required', { Connection: 'close' });
  }
}

/** Requests whose clients wait for `100 Continue` before they send the body, and the response that can write it. */
export const awaitingContinue = new WeakMap<IncomingMessage, ServerResponse>();

/** Notes that the client asked whether its body is wanted (RFC 9110 §10.1.1). */
export function noteExpectation(request: IncomingMessage, response: ServerResponse): void {
  awaitingContinue.set(request, response);
}

/** To be called when the body is going to be read: a client that waits for that is told to send it. */
export function continueReading(request: IncomingMessage): void {
  const response = awaitingContinue.get(request);
  if (response === undefined) return;
  awaitingContinue.delete(request);
  response.writeContinue();
}

/**
 * Whether the request opens a websocket (RFC 6455 §4.1). Any other `Upgrade` is an offer to ignore (RFC 9110 §7.8):
 * Java's HttpClient, for one, offers `h2c` with every plain request.
 */
export function isWebsocketUpgrade(request: IncomingMessage): boolean {
  return (
    request.method === 'GET' &&
    // RFC 9110 §7.8: in HTTP/1.0 the field means nothing.
    request.httpVersion === '1.1' &&
    request.headers.upgrade?.toLowerCase() === 'websocket'
  );
}
