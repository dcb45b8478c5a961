import type { AddressInfo } from 'node:net';
import type { Config } from './config/config.ts';
import { addressOf } from './http/client-address.ts';
import {
  closeListener,
  createListener,
  type Listener,
  listen,
  renewCertificate,
} from './http/listener.ts';
import { createRouter } from './http/router.ts';
import { createParts, type Parts, type ServerOptions } from './parts.ts';
import { createRoutes } from './routes.ts';
import type { Log } from './telemetry/log.ts';
import { Connection } from './websocket/connection.ts';
import { readHandshakeToken } from './websocket/handshake-token.ts';
import { acceptUpgrades } from './websocket/upgrade.ts';

/** A server made from a configuration. It binds nothing before `listen`. */
export interface Server {
  /** How many websockets are open or being closed. */
  readonly openConnections: number;
  /** Resolves to the bound address, or to undefined if the server was closed first. Rejects when it cannot bind. */
  listen(): Promise<AddressInfo | undefined>;
  /**
   * Accepts no more websockets, ends the open ones spread over the drain window, and resolves when the last connection
   * is gone: a few seconds after the window at the latest, whatever the clients do. Safe to call twice.
   */
  close(): Promise<void>;
  /** Cuts every websocket off without a close frame, as a lost network does. They take nothing any more. */
  cutConnections(): void;
  /** Reads the certificate files again, for new connections. Keeps the old certificate if they are unusable. */
  renewCertificate(): void;
}

export function createServer(config: Config, log: Log, options: ServerOptions = {}): Server {
  const parts = createParts(config, log, options);
  const { broker, connections, descriptors, history, replays } = parts;
  const routes = createRoutes(parts, options);
  const listener = createListener(config, createRouter(routes, log));
  const { httpServer } = listener;
  acceptUpgrades(httpServer, {
    config,
    admit: () => connections.admit(),
    authorize: (request) => readHandshakeToken(request, parts),
    open(ws, socket, request, token) {
      const address = addressOf(request, config.trustedProxies);
      const connection = new Connection(ws, socket, address, parts);
      if (token !== undefined) connection.accept(token.grant, token.since);
    },
  });
  let closing: Promise<void> | undefined;

  return {
    get openConnections() {
      return connections.all.size;
    },
    async listen() {
      if (closing !== undefined) return undefined;
      const { host, port } = config;
      const onAcceptError = (error: Error) => {
        log.error({ err: error }, 'accepting a connection failed');
      };
      try {
        const address = await listen(httpServer, { host, port, onAcceptError });
        if (address === undefined) return undefined;
        connections.start(() => {
          descriptors.check();
          history?.expire();
          replays.tick();
        });
        return address;
      } catch (error) {
        void broker.close();
        throw error;
      }
    },
    close: () => (closing ??= shutDown(parts, listener)),
    cutConnections: () => connections.cutAll(),
    renewCertificate() {
      if (config.tls === undefined) return;
      try {
        renewCertificate(httpServer, config.tls);
        log.info('certificate renewed');
      } catch (error) {
        log.error({ err: error }, 'certificate could not be loaded, keeping the old one');
      }
    },
  };
}

async function shutDown(parts: Parts, listener: Listener): Promise<void> {
  const { broker, config, connections, log } = parts;
  // Clients that would keep their connection for further requests must go to another server.
  listener.httpServer.prependListener('request', (_request, response) => {
    response.setHeader('Connection', 'close');
  });
  await connections.drain();
  // In production a connection that has just been opened may be about to bring a request.
  if (!config.production) listener.destroyUnusedSockets();
  await closeListener(listener);
  await connections.finish();
  await broker.close();
  log.info('closed');
}
