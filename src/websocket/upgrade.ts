import type { IncomingMessage, Server } from 'node:http';
import { Server as HttpsServer } from 'node:https';
import type { Duplex } from 'node:stream';
import { WebSocketServer } from 'ws';
import type { Config } from '../config/config.ts';
import { HttpError } from '../http/http-error.ts';
import { endWithReply } from '../http/reply.ts';
import { checkHost, isWebsocketUpgrade, pathOf } from '../http/request.ts';
import { afterAnswers, pendingResponse } from '../http/unanswered-requests.ts';
import { acceptableOffer } from './extensions.ts';
import { OwnedWebSocket } from './handled-websocket.ts';

// Options that Node and ws know and their type packages do not yet.
declare module 'node:http' {
  interface ServerOptions {
    /** Node ≥ 22.21 and ≥ 24.9: false makes an upgrade request an ordinary one. */
    shouldUpgradeCallback?: (request: IncomingMessage) => boolean;
  }
}
declare module 'ws' {
  namespace WebSocket {
    interface ServerOptions {
      /** Milliseconds from a close frame to the end of a peer that does not answer it. */
      closeTimeout?: number | undefined;
      /** Automatic pongs that may wait to be written before the connection is ended. */
      maxPendingAutoPongs?: number | undefined;
    }
  }
}

/** A peer that has stopped answering cannot answer a close frame either. */
const CLOSE_TIMEOUT_MS = 2_000;

/** What becomes of upgrade requests. */
export interface UpgradeOptions {
  readonly config: Config;
  /** Throws an `HttpError` when no further websocket is taken now. */
  admit(): void;
  /** Takes an open websocket, the raw socket that it was made from, and the request that asked for it. */
  open(ws: OwnedWebSocket, socket: Duplex, request: IncomingMessage): void;
}

/** `GET /subscribe` by a client that does not ask for a websocket. */
export function upgradeRequired(): never {
  throw new HttpError(426, 'Upgrade required', { Connection: 'Upgrade', Upgrade: 'websocket' });
}

/** Opens websockets on `/subscribe` and gives every other upgrade request a whole HTTP answer. */
export function acceptUpgrades(server: Server, { config, admit, open }: UpgradeOptions): void {
  const webSocketServer = new WebSocketServer({
    noServer: true,
    WebSocket: OwnedWebSocket,
    clientTracking: false,
    // Without context takeover a message stands alone: ours are compressed once for everyone, not by ws.
    perMessageDeflate: config.compression && {
      serverNoContextTakeover: true,
      clientNoContextTakeover: true,
    },
    handleProtocols: () => false,
    maxPayload: config.maxMessageBytes,
    // Browsers send a message in one piece and networks in hundreds of bytes. These leave room for worse, but not
    // for a message of single bytes, each of which would pin a buffer.
    maxFragments: Math.max(128, Math.ceil(config.maxMessageBytes / 512)),
    maxBufferedChunks: Math.max(1_024, Math.ceil(config.maxMessageBytes / 64)),
    maxPendingAutoPongs: 60,
    closeTimeout: CLOSE_TIMEOUT_MS,
  });
  webSocketServer.on('wsClientError', (error, socket) => {
    endWithReply(socket, new HttpError(400, error.message).toReply());
  });

  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    // Node stops listening for errors on an upgraded socket; a reset would end the process.
    socket.on('error', destroySocket);
    if (!isWebsocketUpgrade(request)) {
      // Node does not survive a socket that is given back to it while an answer is still to come on it.
      afterAnswers(socket, () => ignoreUpgrade(server, request, socket, head));
      return;
    }
    if (pendingResponse(socket) !== undefined) {
      // The answers before would come out in the middle of the websocket's frames.
      const reply = new HttpError(400, 'Bad request').toReply();
      afterAnswers(socket, () => endWithReply(socket, reply));
      return;
    }
    try {
      checkHandshake(request, config);
      admit();
    } catch (error) {
      if (!(error instanceof HttpError)) throw error;
      endWithReply(socket, error.toReply());
      return;
    }
    const offer = acceptableOffer(request.headers['sec-websocket-extensions']);
    if (offer === undefined) delete request.headers['sec-websocket-extensions'];
    else request.headers['sec-websocket-extensions'] = offer;
    webSocketServer.handleUpgrade(request, socket, head, (ws) => {
      // ws listens for them now.
      socket.off('error', destroySocket);
      open(ws, socket, request);
    });
  });
}

// Not a closure: one would keep the request that opened the connection for as long as that lives.
function destroySocket(this: Duplex): void {
  this.destroy();
}

/** Throws an `HttpError` when the handshake may not go on (RFC 6455 §4.2.1). */
function checkHandshake(request: IncomingMessage, { allowedOrigins }: Config): void {
  checkHost(request);
  if (pathOf(request) !== '/subscribe') throw new HttpError(404, 'Not found');

  const { headers } = request;
  // ws itself would take version 8 too.
  if (headers['sec-websocket-version'] !== '13') {
    throw new HttpError(426, 'Sec-WebSocket-Version must be 13', {
      'Sec-WebSocket-Version': '13',
      Connection: 'Upgrade',
      Upgrade: 'websocket',
    });
  }
  // 16 bytes in base64.
  if (!/^[+/0-9A-Za-z]{22}==$/.test(headers['sec-websocket-key'] ?? '')) {
    throw new HttpError(400, 'Sec-WebSocket-Key must be 16 bytes in base64');
  }
  // Only browsers send an origin, and a page cannot leave it out: who is no browser may say what it likes anyway.
  if (headers.origin !== undefined && allowedOrigins?.has(headers.origin) === false) {
    throw new HttpError(403, 'Origin not allowed');
  }
}

/**
 * Gives a request whose `Upgrade` is ignored back to the http server, which has let go of its socket.
 * Needed only where Node does not know `shouldUpgradeCallback`.
 */
function ignoreUpgrade(
  server: Server,
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
): void {
  socket.off('error', destroySocket);
  if (!socket.writable) {
    // Its last answer was the last on the connection.
    socket.destroy();
    return;
  }
  const lines = [`${request.method} ${request.url} HTTP/${request.httpVersion}`];
  const { rawHeaders } = request;
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] ?? '';
    if (name.toLowerCase() !== 'upgrade') lines.push(`${name}: ${rawHeaders[index + 1]}`);
  }
  // Header text is Latin-1 in Node, byte for byte.
  socket.unshift(Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'), head]));
  // An https server speaks HTTP on what its TLS has opened.
  server.emit(server instanceof HttpsServer ? 'secureConnection' : 'connection', socket);
}
