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
import { HandledWebSocket } from './handled-websocket.ts';
import type { HandshakeToken } from './handshake-token.ts';

// Options of Node and ws that are missing in their type packages.
declare module 'node:http' {
  interface ServerOptions {
    /** Node ≥ 22.21 and ≥ 24.9: if it returns false, the request is handled as an ordinary one. */
    shouldUpgradeCallback?: (request: IncomingMessage) => boolean;
  }
}
declare module 'ws' {
  namespace WebSocket {
    interface ServerOptions {
      /** Milliseconds after a close frame until a peer that has not answered it is terminated. */
      closeTimeout?: number | undefined;
      /** How many automatic pongs may wait to be written before the connection is terminated. */
      maxPendingAutoPongs?: number | undefined;
    }
  }
}

/** How long a peer may take to answer our close frame. */
const CLOSE_TIMEOUT_MS = 2_000;

/** What `acceptUpgrades` needs. */
export interface UpgradeOptions {
  readonly config: Config;
  /** Throws an `HttpError` when no further websocket may be opened now. */
  admit(): void;
  /** The token that a handshake carries, if any. Throws an `HttpError` when it is not accepted. */
  authorize(request: IncomingMessage): HandshakeToken | undefined;
  /** Takes an open websocket, the raw socket under it, the request that asked for it, and the token in that. */
  open(
    ws: HandledWebSocket,
    socket: Duplex,
    request: IncomingMessage,
    token: HandshakeToken | undefined,
  ): void;
}

/** Answers `GET /subscribe` without an upgrade. */
export function upgradeRequired(): never {
  throw new HttpError(426, 'Upgrade required', { Connection: 'Upgrade', Upgrade: 'websocket' });
}

/** Opens websockets on `/subscribe` and gives every other upgrade request a whole HTTP answer. */
export function acceptUpgrades(
  server: Server,
  { config, admit, authorize, open }: UpgradeOptions,
): void {
  const webSocketServer = createWebSocketServer(config);

  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    // Node removes its error listener from an upgraded socket. Without one, a reset would end the process.
    socket.on('error', destroySocket);
    if (!isWebsocketUpgrade(request)) {
      // Node crashes if a socket is given back to it while a response is still being written to it.
      afterAnswers(socket, () => ignoreUpgrade(server, request, socket, head));
      return;
    }
    if (pendingResponse(socket) !== undefined) {
      // The responses to earlier requests would be written in the middle of the websocket's frames.
      const reply = new HttpError(400, 'Bad request').toReply();
      afterAnswers(socket, () => endWithReply(socket, reply));
      return;
    }
    let token: HandshakeToken | undefined;
    try {
      checkHandshake(request, config);
      admit();
      token = authorize(request);
    } catch (error) {
      if (!(error instanceof HttpError)) throw error;
      endWithReply(socket, error.toReply());
      return;
    }
    const offer = acceptableOffer(request.headers['sec-websocket-extensions']);
    if (offer === undefined) delete request.headers['sec-websocket-extensions'];
    else request.headers['sec-websocket-extensions'] = offer;
    webSocketServer.handleUpgrade(request, socket, head, (ws) => {
      // ws has its own error listener now.
      socket.off('error', destroySocket);
      open(ws, socket, request, token);
    });
  });
}

function createWebSocketServer(config: Config) {
  const webSocketServer = new WebSocketServer({
    noServer: true,
    WebSocket: HandledWebSocket,
    clientTracking: false,
    // Without context takeover every message is compressed on its own. The hub compresses ours once for all subscribers,
    // so ws never does.
    perMessageDeflate: config.compression && {
      serverNoContextTakeover: true,
      clientNoContextTakeover: true,
    },
    handleProtocols: () => false,
    maxPayload: config.maxMessageBytes,
    // Browsers send a message as one frame, and networks deliver hundreds of bytes at a time. These limits leave room
    // for less, but not for a message of single bytes, each of which would hold a buffer of its own.
    maxFragments: Math.max(128, Math.ceil(config.maxMessageBytes / 512)),
    maxBufferedChunks: Math.max(1_024, Math.ceil(config.maxMessageBytes / 64)),
    maxPendingAutoPongs: 60,
    closeTimeout: CLOSE_TIMEOUT_MS,
  });
  webSocketServer.on('wsClientError', (error, socket) => {
    endWithReply(socket, new HttpError(400, error.message).toReply());
  });
  return webSocketServer;
}

// Not a closure: a closure would keep the upgrade request in memory as long as the connection.
function destroySocket(this: Duplex): void {
  this.destroy();
}

/** Throws an `HttpError` when the handshake must be refused (RFC 6455 §4.2.1). */
function checkHandshake(request: IncomingMessage, { allowedOrigins }: Config): void {
  checkHost(request);
  if (pathOf(request) !== '/subscribe') throw new HttpError(404, 'Not found');

  const { headers } = request;
  // ws itself would accept version 8 as well.
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
  // A web page cannot omit or change `Origin`. Other clients can send any value, so one without it passes.
  if (headers.origin !== undefined && allowedOrigins?.has(headers.origin) === false) {
    throw new HttpError(403, 'Origin not allowed');
  }
}

/**
 * Hands an upgrade request back to the http server as an ordinary request (RFC 9110 §7.8): Node has detached its socket.
 * From Node 25 on its `shouldUpgradeCallback` ignores the upgrade, and this is never called.
 */
function ignoreUpgrade(
  server: Server,
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
): void {
  socket.off('error', destroySocket);
  if (!socket.writable) {
    // The answer before this one has closed the connection.
    socket.destroy();
    return;
  }
  const lines = [`${request.method} ${request.url} HTTP/${request.httpVersion}`];
  const { rawHeaders } = request;
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] ?? '';
    if (name.toLowerCase() !== 'upgrade') lines.push(`${name}: ${rawHeaders[index + 1]}`);
  }
  // Node decodes header bytes as Latin-1, so this restores the bytes that were sent.
  socket.unshift(Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'), head]));
  // An https server parses HTTP on the sockets of its 'secureConnection' event.
  server.emit(server instanceof HttpsServer ? 'secureConnection' : 'connection', socket);
}
