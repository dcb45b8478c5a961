import { createServer as createHttpServer, type Server as HttpServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { setImmediate } from 'node:timers/promises';
import { addressOf } from './address.ts';
import { broadcastHandler } from './broadcast.ts';
import { LocalBroker } from './broker.ts';
import { disconnects } from './close-codes.ts';
import type { Config } from './config.ts';
import { Deadlines } from './deadlines.ts';
import { spreadOver } from './drain.ts';
import { healthHandler } from './health.ts';
import { Heartbeat } from './heartbeat.ts';
import { endWithReply, HttpError, sendReply } from './http.ts';
import { Hub } from './hub.ts';
import { infoHandler } from './info.ts';
import { type Log, rateLimited } from './log.ts';
import { Metrics, metricsHandler } from './metrics.ts';
import { Outbox } from './outbox.ts';
import { landingPage } from './pages.ts';
import { createRouter } from './router.ts';
import { Connection, type ConnectionContext } from './subscribe.ts';
import { TokenVerifier } from './token.ts';
import { acceptUpgrades, isWebsocketUpgrade, upgradeRequired } from './upgrade.ts';

/** A server made of a configuration; nothing is bound before `listen`. */
export interface Server {
  /** Resolves to the bound address; rejects when it cannot be bound. */
  listen(): Promise<AddressInfo>;
  /**
   * Takes no more websockets, says goodbye to those that are open, spread over the drain window, and resolves when
   * the last connection is gone: within seconds of the window whatever the clients do. Calling it twice is safe.
   */
  close(): Promise<void>;
}

/** How exact pings and deadlines are. One timer drives them all. */
const TICK_MS = 100;
/** What a request in flight may still take when all websockets have gone. */
const FINISH_REQUESTS_MS = 2_000;
const MINUTE_MS = 60_000;

export function createServer(config: Config, log: Log): Server {
  const hub = new Hub();
  const tokens = new TokenVerifier(
    config.jwtSecret,
    config.jwtSecretPrevious,
    rateLimited(MINUTE_MS, () =>
      log.warn('a token was signed with a secret of JWT_SECRET_PREVIOUS'),
    ),
  );
  const broker = new LocalBroker(hub);
  const heartbeat = new Heartbeat(config.pingIntervalMs, TICK_MS);
  const deadlines = new Deadlines(TICK_MS);
  const connections = new Set<Connection>();
  const metrics = config.metrics ? new Metrics(hub, connections) : undefined;
  const context: ConnectionContext = {
    config,
    log,
    metrics,
    hub,
    tokens,
    heartbeat,
    deadlines,
    outbox: new Outbox(),
    connections,
  };
  let timer: NodeJS.Timeout | undefined;
  let closing: Promise<void> | undefined;

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
    createRouter(
      {
        'GET /': landingPage(),
        'GET /info.json': infoHandler(hub),
        'GET /healthz': healthHandler(() => (closing === undefined ? 'ok' : 'draining')),
        'POST /broadcast': broadcastHandler({ config, tokens, broker, log, metrics }),
        'GET /subscribe': upgradeRequired,
        ...(metrics && { 'GET /metrics': metricsHandler(metrics, config.metricsToken) }),
      },
      log,
    ),
  );
  answerInOurForm(httpServer);
  acceptUpgrades(httpServer, {
    config,
    admit() {
      if (closing !== undefined) {
        throw new HttpError(503, 'Server shutting down', { 'Retry-After': '1' });
      }
      if (config.maxConnections > 0 && connections.size >= config.maxConnections) {
        throw new HttpError(503, 'Too many connections', { 'Retry-After': '5' });
      }
    },
    open(ws, socket, request) {
      new Connection(ws, socket, addressOf(request, config.trustedProxies), context);
    },
  });

  const shutDown = async () => {
    log.info({ connections: connections.size, seconds: config.drainMs / 1_000 }, 'draining');
    // Whoever keeps a connection for its next request must look for another server.
    httpServer.prependListener('request', (_request, response) => {
      response.setHeader('Connection', 'close');
    });
    await spreadOver(connections, config.drainMs, (connection) => {
      connection.end(disconnects.shuttingDown);
    });
    const closed = new Promise<void>((resolve) => httpServer.close(() => resolve()));
    const patience = setTimeout(() => httpServer.closeAllConnections(), FINISH_REQUESTS_MS);
    await closed;
    // ws says so of the last ones a few ticks after their sockets have gone.
    await setImmediate();
    clearTimeout(patience);
    clearInterval(timer);
    log.info('closed');
  };

  return {
    listen: () =>
      new Promise((resolve, reject) => {
        httpServer.once('error', reject);
        httpServer.listen(config.port, config.host, () => {
          httpServer.off('error', reject);
          timer = setInterval(() => {
            heartbeat.tick();
            deadlines.tick();
          }, TICK_MS);
          resolve(httpServer.address() as AddressInfo);
        });
      }),
    close: () => (closing ??= shutDown()),
  };
}

/** Node would end these without a word, or with an answer that is not ours. */
function answerInOurForm(httpServer: HttpServer): void {
  httpServer.on('connect', (_request, socket: Duplex) => {
    endWithReply(socket, new HttpError(404, 'Not found').toReply());
  });
  httpServer.on('checkExpectation', (request, response) => {
    sendReply(request, response, new HttpError(417, 'Expectation failed').toReply());
  });
  httpServer.on('clientError', (error: NodeJS.ErrnoException, socket: Duplex) => {
    endWithReply(socket, parserRefusal(error.code).toReply());
  });
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
