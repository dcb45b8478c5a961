import type { IncomingMessage, Server } from 'node:http';
import type { Duplex } from 'node:stream';
import { HttpError } from './http.ts';
import { pathOf } from './router.ts';

/**
 * Whether the request opens a websocket (RFC 6455 §4.1). Any other `Upgrade` is an offer to ignore (RFC 9110 §7.8):
 * Java's HttpClient, for one, offers `h2c` with every plain request.
 */
export function isWebsocketUpgrade(request: IncomingMessage): boolean {
  return request.method === 'GET' && request.headers.upgrade?.toLowerCase() === 'websocket';
}

/** Throws an `HttpError` when the handshake may not go on (RFC 6455 §4.2.1). */
export function checkHandshake(request: IncomingMessage): void {
  if (pathOf(request) !== '/subscribe') throw new HttpError(404, 'Not found');

  // ws itself would take version 8 too.
  if (request.headers['sec-websocket-version'] !== '13') {
    throw new HttpError(426, 'Sec-WebSocket-Version must be 13', {
      'Sec-WebSocket-Version': '13',
      Connection: 'Upgrade',
      Upgrade: 'websocket',
    });
  }
  // 16 bytes in base64.
  if (!/^[+/0-9A-Za-z]{22}==$/.test(request.headers['sec-websocket-key'] ?? '')) {
    throw new HttpError(400, 'Sec-WebSocket-Key must be 16 bytes in base64');
  }
}

/** `GET /subscribe` by a client that does not ask for a websocket. */
export function upgradeRequired(): never {
  throw new HttpError(426, 'Upgrade required', { Connection: 'Upgrade', Upgrade: 'websocket' });
}

/**
 * Gives a request whose `Upgrade` is ignored back to the http server, which has let go of its socket.
 * Needed only where Node does not know `shouldUpgradeCallback` (before 22.21 and 24.9).
 */
export function ignoreUpgrade(
  server: Server,
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
): void {
  const lines = [`${request.method} ${request.url} HTTP/${request.httpVersion}`];
  const { rawHeaders } = request;
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] ?? '';
    if (name.toLowerCase() !== 'upgrade') lines.push(`${name}: ${rawHeaders[index + 1]}`);
  }
  // Header text is Latin-1 in Node, byte for byte.
  socket.unshift(Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'), head]));
  server.emit('connection', socket);
}
