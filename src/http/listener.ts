import {
  createServer as createHttpServer,
  type Server as HttpServer,
  type RequestListener,
} from 'node:http';
import { createServer as createHttpsServer, Server as HttpsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { versions } from 'node:process';
import type { Duplex } from 'node:stream';
import { type CertificateFiles, readCertificate } from '../config/certificate.ts';
import type { Config } from '../config/config.ts';
import { noteExpectContinue } from './body/expect-continue.ts';
import { HttpError } from './http-error.ts';
import { endWithReply, sendReply } from './reply.ts';
import { isWebsocketUpgrade } from './request.ts';
import { afterAnswers, pendingResponse } from './unanswered-requests.ts';

const NODE_MAJOR = Number(versions.node.split('.')[0]);

const OPTIONS = {
  headersTimeout: 10_000,
  requestTimeout: 15_000,
  connectionsCheckingInterval: 5_000,
  // Load balancers keep idle connections for 60 s. Closed by us first, one could fail the balancer's next request.
  keepAliveTimeout: 65_000,
  // The router checks it instead and answers with a body.
  requireHostHeader: false,
  // With this option Node drops the requests that come in one packet behind one whose upgrade it ignores. Before Node 25
  // such a request can be handed back to the http server instead (`ignoreUpgrade`), and nothing is lost.
  ...(NODE_MAJOR >= 25 && { shouldUpgradeCallback: isWebsocketUpgrade }),
  // Of TLS. Node's default of two minutes would be too long for a connection that never begins one.
  handshakeTimeout: 10_000,
} as const;

/** How long requests in flight may still take when the listener closes. */
const FINISH_REQUESTS_MS = 2_000;

/** What all header fields may have when one may be a token, which may name many channels. Node's default is 16 KiB. */
const MAX_TOKEN_HEADER_BYTES = 65_536;

/** Node's http or https server with our timeouts and our form of refusals. */
export interface Listener {
  readonly httpServer: HttpServer;
  /** Ends every connection, websockets and those that have sent nothing included. */
  destroySockets(): void;
  /** Ends every connection that has sent nothing. Browsers open some in advance. */
  destroyUnusedSockets(): void;
}

/** Nothing is bound yet. Throws if the files of `tls` hold no usable certificate. */
export function createListener(
  { tls, tokenAtConnect }: Pick<Config, 'tls' | 'tokenAtConnect'>,
  onRequest: RequestListener,
): Listener {
  const options = { ...OPTIONS, ...(tokenAtConnect && { maxHeaderSize: MAX_TOKEN_HEADER_BYTES }) };
  const httpServer = tls
    ? createHttpsServer({ ...options, ...readCertificate(tls) }, onRequest)
    : createHttpServer(options, onRequest);
  // Above a count Node would silently drop fields, even Content-Length. Their total size is limited anyway.
  httpServer.maxHeadersCount = 0;

  httpServer.on('connect', (_request, socket: Duplex) => refuseConnect(socket));
  httpServer.on('checkContinue', (request, response) => {
    noteExpectContinue(request, response);
    httpServer.emit('request', request, response);
  });
  httpServer.on('checkExpectation', (request, response) => {
    sendReply(request, response, new HttpError(417, 'Expectation failed').toReply());
  });
  answerParserErrors(httpServer);
  const sockets = trackSockets(httpServer);
  return {
    httpServer,
    destroySockets() {
      for (const socket of sockets) socket.destroy();
    },
    destroyUnusedSockets() {
      for (const socket of sockets) if (socket.bytesRead === 0) socket.destroy();
    },
  };
}

/** Where a server listens, and who is told of connections that it could not accept. */
export interface ListenOptions {
  /** Every interface if undefined. */
  readonly host: string | undefined;
  readonly port: number;
  onAcceptError(error: Error): void;
}

/** Resolves to the bound address, or to undefined if the server was closed first. Rejects when it cannot bind. */
export function listen(
  server: HttpServer,
  { host, port, onAcceptError }: ListenOptions,
): Promise<AddressInfo | undefined> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    // A server that is closed during the lookup of its host name never emits 'listening'.
    server.once('close', () => resolve(undefined));
    server.listen(port, host, () => {
      server.off('error', reject);
      server.on('error', onAcceptError);
      resolve(server.address() as AddressInfo);
    });
  });
}

/** Stops listening and resolves when the last connection is gone: after two seconds all that are left are destroyed. */
export async function closeListener({ httpServer, destroySockets }: Listener): Promise<void> {
  const closed = new Promise<void>((resolve) => httpServer.close(() => resolve()));
  const timeout = setTimeout(destroySockets, FINISH_REQUESTS_MS);
  await closed;
  clearTimeout(timeout);
}

/** Serves new connections with what the files hold now; open ones keep theirs. Throws if the files are unusable. */
export function renewCertificate(server: HttpServer, tls: CertificateFiles): void {
  if (server instanceof HttpsServer) server.setSecureContext(readCertificate(tls));
}

/** We track sockets ourselves, because `server.closeAllConnections()` skips upgraded ones. */
function trackSockets(server: HttpServer): ReadonlySet<Socket> {
  const sockets = new Set<Socket>();
  function forget(this: Socket): void {
    sockets.delete(this);
  }
  server.on('connection', (socket: Socket) => {
    // An ignored upgrade emits 'connection' for the same socket again.
    if (sockets.has(socket)) return;
    sockets.add(socket);
    socket.on('close', forget);
  });
  return sockets;
}

/** Answers a CONNECT request, which Node would end without an answer. */
function refuseConnect(socket: Duplex): void {
  socket.on('error', () => socket.destroy());
  afterAnswers(socket, () => endWithReply(socket, new HttpError(404, 'Not found').toReply()));
}

/** Answers what Node's parser or timeouts refuse. Node would answer without a body. */
function answerParserErrors(server: HttpServer): void {
  // Node emits 'clientError' again for everything that the client still sends.
  const refused = new WeakSet<Duplex>();
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Duplex) => {
    if (refused.has(socket)) return;
    refused.add(socket);
    const pending = pendingResponse(socket);
    const refuse = () => endWithReply(socket, parserRefusal(error.code).toReply());
    // A whole request that came before the error is answered first.
    if (pending?.req.complete) afterAnswers(socket, refuse);
    // The error is in the body of a request whose answer has begun: a second answer would garble the first.
    else if (pending?.headersSent) socket.destroy();
    else refuse();
  });
}

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
