import {
  createServer as createHttpServer,
  type Server as HttpServer,
  type RequestListener,
} from 'node:http';
import { createServer as createHttpsServer, Server as HttpsServer } from 'node:https';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { type CertificateFiles, readCertificate } from '../config/certificate.ts';
import { noteExpectContinue } from './expect-continue.ts';
import { HttpError } from './http-error.ts';
import { endWithReply, sendReply } from './reply.ts';
import { isWebsocketUpgrade } from './request.ts';
import { afterAnswers, pendingResponse } from './unanswered-requests.ts';

const OPTIONS = {
  headersTimeout: 10_000,
  requestTimeout: 15_000,
  connectionsCheckingInterval: 5_000,
  // Longer than the 60 s of the usual load balancer, which must be the one to close an idle connection.
  keepAliveTimeout: 65_000,
  // The router refuses it instead, in our form.
  requireHostHeader: false,
  shouldUpgradeCallback: isWebsocketUpgrade,
  // Of TLS; a connection that never shows any would be open for two minutes.
  handshakeTimeout: 10_000,
} as const;

export interface Listener {
  readonly httpServer: HttpServer;
  /** Ends every connection there is, whatever it has become and whether it has sent anything. */
  destroySockets(): void;
}

/**
 * Node's own server, http or with a certificate https, with our timeouts; what its parser refuses gets an answer of
 * the same form as any other. Throws when the certificate cannot be used.
 */
export function createListener(
  tls: CertificateFiles | undefined,
  onRequest: RequestListener,
): Listener {
  const server = tls
    ? createHttpsServer({ ...OPTIONS, ...readCertificate(tls) }, onRequest)
    : createHttpServer(OPTIONS, onRequest);
  // Node would drop further fields in silence, a Content-Length too. Their size has a limit of its own.
  server.maxHeadersCount = 0;

  const sockets = new Set<Socket>();
  function forget(this: Socket): void {
    sockets.delete(this);
  }
  server.on('connection', (socket: Socket) => {
    // A socket whose upgrade is ignored comes by again.
    if (sockets.has(socket)) return;
    sockets.add(socket);
    socket.on('close', forget);
  });

  // Node would end these without a word, or with an answer that is not ours.
  server.on('connect', (_request, socket: Duplex) => {
    socket.on('error', () => socket.destroy());
    afterAnswers(socket, () => endWithReply(socket, new HttpError(404, 'Not found').toReply()));
  });
  server.on('checkContinue', (request, response) => {
    noteExpectContinue(request, response);
    server.emit('request', request, response);
  });
  server.on('checkExpectation', (request, response) => {
    sendReply(request, response, new HttpError(417, 'Expectation failed').toReply());
  });
  // Node says so again of all that a client sends afterwards.
  const refused = new WeakSet<Duplex>();
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Duplex) => {
    if (refused.has(socket)) return;
    refused.add(socket);
    const pending = pendingResponse(socket);
    const refuse = () => endWithReply(socket, parserRefusal(error.code).toReply());
    // Behind a whole request, which is answered first.
    if (pending?.req.complete) afterAnswers(socket, refuse);
    // A second answer to a request whose first has begun would be worse than none.
    else if (pending?.headersSent) socket.destroy();
    else refuse();
  });
  return {
    httpServer: server,
    destroySockets() {
      for (const socket of sockets) socket.destroy();
    },
  };
}

/** Serves new connections with what the files hold now; those that are open stay. Throws when they cannot be used. */
export function renewCertificate(server: HttpServer, tls: CertificateFiles): void {
  if (server instanceof HttpsServer) server.setSecureContext(readCertificate(tls));
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
