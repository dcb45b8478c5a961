import { createServer as createHttpServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { WebSocketServer } from 'ws';
import { broadcastHandler } from './broadcast.ts';
import { LocalBroker } from './broker.ts';
import { disconnects } from './close-codes.ts';
import type { Config } from './config.ts';
import { Heartbeat } from './heartbeat.ts';
import { endWithReply, HttpError, sendReply } from './http.ts';
import { Hub } from './hub.ts';
import { infoHandler } from './info.ts';
import { Outbox } from './outbox.ts';
import { landingPage } from './pages.ts';
import { createRouter } from './router.ts';
import { Connection, type ConnectionContext } from './subscribe.ts';
import { TokenVerifier } from './token.ts';
import { checkHandshake, ignoreUpgrade, isWebsocketUpgrade, upgradeRequired } from './upgrade.ts';

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

/** A server made of a configuration; nothing is bound before `listen`. */
export interface Server {
  /** Resolves to the bound address; rejects when it cannot be bound. */
  listen(): Promise<AddressInfo>;
  /** Says goodbye to everyone and resolves when the last connection is gone. Calling it twice is safe. */
  close(): Promise<void>;
}

/** From our close frame to the end of a peer that has stopped answering. */
const CLOSE_TIMEOUT_MS = 2_000;
/** What a request in flight may still take when the server closes. */
const FINISH_REQUESTS_MS = 5_000;

export function createServer(config: Config): Server {
  const hub = new Hub();
  const tokens = new TokenVerifier(config.jwtSecret);
  const broker = new LocalBroker(hub);
  const heartbeat = new Heartbeat(config.pingIntervalMs);
  const connections = new Set<Connection>();
  const context: ConnectionContext = {
    hub,
    tokens,
    heartbeat,
    outbox: new Outbox(),
    connections,
    maxChannelLength: config.maxChannelLength,
  };

  const httpServer = createHttpServer(
    {
      headersTimeout: 10_000,
      requestTimeout: 15_000,
      connectionsCheckingInterval: 5_000,
      // Longer than the 60 s of the usual load balancer, which must be the one to close an idle connection.
      keepAliveTimeout: 65_000,
      // The router refuses it instead, in our form.
      requireHostHeader: false,
      shouldUpgradeCallback: isWebsocketUpgrade,
    },
    createRouter({
      'GET /': landingPage(),
      'GET /info.json': infoHandler(hub),
      'POST /broadcast': broadcastHandler(tokens, broker, config),
      'GET /subscribe': upgradeRequired,
    }),
  );

  const webSocketServer = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    handleProtocols: () => false,
    maxPayload: config.maxMessageBytes,
    // A browser sends a message in one piece; these leave room for proxies that cut it up, and none to hoard.
    maxFragments: 128,
    maxBufferedChunks: 1_024,
    maxPendingAutoPongs: 60,
    closeTimeout: CLOSE_TIMEOUT_MS,
  });
  webSocketServer.on('wsClientError', (error, socket) => {
    endWithReply(socket, new HttpError(400, error.message).toReply());
  });

  let closing: Promise<void> | undefined;

  httpServer.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    // Node stops listening for errors on an upgraded socket; a reset would end the process.
    socket.on('error', () => socket.destroy());
    if (!isWebsocketUpgrade(request)) {
      ignoreUpgrade(httpServer, request, socket, head);
      return;
    }
    try {
      checkHandshake(request);
      if (closing !== undefined) throw new HttpError(503, 'Server shutting down');
    } catch (error) {
      if (!(error instanceof HttpError)) throw error;
      endWithReply(socket, error.toReply());
      return;
    }
    webSocketServer.handleUpgrade(request, socket, head, (ws) => {
      new Connection(ws, socket, context);
    });
  });
  // Node would end these without a word, or with an answer that has no body.
  httpServer.on('connect', (_request, socket: Duplex) => {
    endWithReply(socket, new HttpError(404, 'Not found').toReply());
  });
  httpServer.on('checkExpectation', (request, response) => {
    sendReply(request, response, new HttpError(417, 'Expectation failed').toReply());
  });
  httpServer.on('clientError', (error: NodeJS.ErrnoException, socket: Duplex) => {
    endWithReply(socket, parserRefusal(error.code).toReply());
  });

  const shutDown = async () => {
    const closed = new Promise<void>((resolve) => httpServer.close(() => resolve()));
    for (const connection of connections) connection.end(disconnects.shuttingDown);
    const timer = setTimeout(() => httpServer.closeAllConnections(), FINISH_REQUESTS_MS);
    await closed;
    clearTimeout(timer);
    heartbeat.stop();
  };

  return {
    listen: () =>
      new Promise((resolve, reject) => {
        httpServer.once('error', reject);
        httpServer.listen(config.port, config.host, () => {
          httpServer.off('error', reject);
          resolve(httpServer.address() as AddressInfo);
        });
      }),
    close: () => (closing ??= shutDown()),
  };
}

/** The answer to what Node's HTTP parser or its timeouts refused. */
function parserRefusal(code: string | undefined): HttpError {
  switch (code) {
    case 'HPE_HEADER_OVERFLOW':
      return new HttpError(431, 'Request header fields too large');
    case 'HPE_CHUNK_EXTENSIONS_OVERFLOW':
      return new HttpError(413, 'Chunk extensions too large');
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return new HttpError(408, 'Request timeout');
    default:
      return new HttpError(400, 'Bad request');
  }
}
