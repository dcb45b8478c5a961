import type { AddressInfo } from 'node:net';
import type { Registry } from 'prom-client';
import { TokenVerifier } from './auth/token-verifier.ts';
import type { Broker } from './broker/broker.ts';
import { DistributedBroker } from './broker/broker-distributed.ts';
import { LocalBroker } from './broker/broker-local.ts';
import type { Bus } from './broker/bus.ts';
import type { Config } from './config/config.ts';
import { BodyReader } from './http/body/body-reader.ts';
import { broadcastHandler } from './http/broadcast.ts';
import { addressOf } from './http/client-address.ts';
import { healthHandler } from './http/health.ts';
import { infoHandler } from './http/info.ts';
import {
  closeListener,
  createListener,
  type Listener,
  listen,
  renewCertificate,
} from './http/listener.ts';
import { metricsHandler } from './http/metrics.ts';
import { createRouter, type Handler } from './http/router.ts';
import { Compressor } from './hub/compressor.ts';
import { DeliveryQueue } from './hub/delivery-queue.ts';
import { Hub } from './hub/hub.ts';
import { Outbox } from './hub/outbox.ts';
import { landingPage } from './pages/landing.ts';
import { playgroundRoutes } from './pages/playground.ts';
import { disconnects } from './protocol/close-codes.ts';
import { DescriptorProbe } from './telemetry/descriptor-probe.ts';
import { type Log, rateLimited } from './telemetry/log.ts';
import { Metrics } from './telemetry/metrics.ts';
import { Connection, type ConnectionContext } from './websocket/connection.ts';
import { Connections } from './websocket/connections.ts';
import { acceptUpgrades, upgradeRequired } from './websocket/upgrade.ts';

/** A server made from a configuration. It binds nothing before `listen`. */
export interface Server {
  /** Resolves to the bound address, or to undefined if the server was closed first. Rejects when it cannot bind. */
  listen(): Promise<AddressInfo | undefined>;
  /**
   * Accepts no more websockets, ends the open ones spread over the drain window, and resolves when the last connection
   * is gone: a few seconds after the window at the latest, whatever the clients do. Safe to call twice.
   */
  close(): Promise<void>;
  /** Reads the certificate files again, for new connections. Keeps the old certificate if they are unusable. */
  renewCertificate(): void;
}

/** What the process provides to its server. Without a bus, this process is the only node. */
export interface ServerOptions {
  /** Connects the nodes of one server. */
  readonly bus?: Bus | undefined;
  /** Creates the function that reads the metrics of all processes of this machine. */
  readonly createMetricsReader?: ((registry: Registry) => () => Promise<string>) | undefined;
  /** How many lines of the log could not be written so far. */
  readonly droppedLines?: () => number;
}

const MINUTE_MS = 60_000;
/** How long messages from other processes may wait under load, so that they are written together. */
const FLUSH_DELAY_MS = 5;

export function createServer(config: Config, log: Log, options: ServerOptions = {}): Server {
  const parts = createParts(config, log, options);
  const { broker, connections, descriptors } = parts;
  const routes = createRoutes(parts, options.createMetricsReader);
  const listener = createListener(config.tls, createRouter(routes, log));
  const { httpServer } = listener;
  acceptUpgrades(httpServer, {
    config,
    admit: () => connections.admit(),
    open(ws, socket, request) {
      new Connection(ws, socket, addressOf(request, config.trustedProxies), parts);
    },
  });
  let closing: Promise<void> | undefined;

  return {
    async listen() {
      if (closing !== undefined) return undefined;
      const { host, port } = config;
      const onAcceptError = (error: Error) => {
        log.error({ err: error }, 'accepting a connection failed');
      };
      try {
        const address = await listen(httpServer, { host, port, onAcceptError });
        if (address !== undefined) connections.start(() => descriptors.check());
        return address;
      } catch (error) {
        void broker.close();
        throw error;
      }
    },
    close: () => (closing ??= shutDown(parts, listener)),
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

/** What a server consists of. Connections need most of it. */
interface Parts extends ConnectionContext {
  readonly log: Log;
  readonly descriptors: DescriptorProbe;
}

function createParts(config: Config, log: Log, { bus, droppedLines }: ServerOptions): Parts {
  const connections = new Connections(config, log);
  const hub = new Hub();
  const outbox = new Outbox({ flushDelayMs: bus === undefined ? 0 : FLUSH_DELAY_MS });
  const queue = new DeliveryQueue(hub, () => outbox.isWriting);
  const onOldSecret = () => log.warn('a token was signed with a secret of JWT_SECRET_PREVIOUS');
  const onShortage = () =>
    log.error(
      'no file descriptor is left: new connections are closed at once; raise ulimit -n (systemd: LimitNOFILE)',
    );
  const broker = bus
    ? connectBroker(config, log, { hub, queue, bus, connections })
    : new LocalBroker(hub, queue);
  const descriptors = new DescriptorProbe(rateLimited(MINUTE_MS, onShortage));
  return {
    config,
    log,
    hub,
    broker,
    connections,
    descriptors,
    tokens: new TokenVerifier(
      config.jwtSecret,
      config.jwtSecretPrevious,
      rateLimited(MINUTE_MS, onOldSecret),
    ),
    metrics: config.metrics
      ? new Metrics({
          hub,
          connections: connections.all,
          broker,
          descriptors,
          droppedLines: droppedLines ?? (() => 0),
        })
      : undefined,
    outbox,
    compressor: new Compressor(),
  };
}

function createRoutes(
  parts: Parts,
  createMetricsReader: ServerOptions['createMetricsReader'],
): Readonly<Record<string, Handler>> {
  const { broker, config, connections, metrics } = parts;
  const bodies = new BodyReader(config.maxBodyBytes);
  const health = () => {
    if (connections.isDraining) return 'draining';
    return broker.isAvailable ? 'ok' : 'broker unavailable';
  };
  return {
    'GET /': landingPage({ playground: config.development }),
    'GET /info.json': infoHandler(broker),
    'GET /healthz': healthHandler(health),
    'POST /broadcast': broadcastHandler({ ...parts, bodies }),
    'GET /subscribe': upgradeRequired,
    ...(metrics && {
      'GET /metrics': metricsHandler(
        createMetricsReader?.(metrics.registry) ?? (() => metrics.registry.metrics()),
        config.metricsToken,
      ),
    }),
    ...(config.development && playgroundRoutes(config, bodies)),
  };
}

/** The broker of a server with several nodes. */
function connectBroker(
  config: Config,
  log: Log,
  parts: { hub: Hub; queue: DeliveryQueue; bus: Bus; connections: Connections },
): Broker {
  const { hub, queue, bus, connections } = parts;
  const logMalformed = rateLimited(MINUTE_MS, (topic: string) => {
    const dropped = broker.malformedTexts;
    log.warn({ topic, dropped }, 'dropped a message of another program under BROKER_PREFIX');
  });
  const broker = new DistributedBroker(hub, bus, {
    onMalformed: logMalformed,
    prefix: config.brokerPrefix,
    queue,
    onChange(isAvailable) {
      if (isAvailable) {
        log.info('broker available');
        return;
      }
      log.error('broker unavailable, refusing broadcasts with 503');
      if (config.reconnectOnBrokerLoss) connections.endAll(disconnects.brokerLost);
    },
  });
  return broker;
}

async function shutDown({ broker, connections, log }: Parts, listener: Listener): Promise<void> {
  // Clients that would keep their connection for further requests must go to another server.
  listener.httpServer.prependListener('request', (_request, response) => {
    response.setHeader('Connection', 'close');
  });
  await connections.drain();
  await closeListener(listener);
  await connections.finish();
  await broker.close();
  log.info('closed');
}
