import type { AddressInfo } from 'node:net';
import { setImmediate } from 'node:timers/promises';
import type { Registry } from 'prom-client';
import { TokenVerifier } from './auth/token-verifier.ts';
import { type Broker, LocalBroker } from './broker/broker.ts';
import { RemoteBroker } from './broker/broker-distributed.ts';
import type { Bus } from './broker/bus.ts';
import type { Config } from './config/config.ts';
import { BodyReader } from './http/body.ts';
import { broadcastHandler } from './http/broadcast.ts';
import { addressOf } from './http/client-address.ts';
import { healthHandler } from './http/health.ts';
import { HttpError } from './http/http-error.ts';
import { infoHandler } from './http/info.ts';
import { createListener, renewCertificate } from './http/listener.ts';
import { metricsHandler } from './http/metrics.ts';
import { createRouter } from './http/router.ts';
import { Compressor } from './hub/compressor.ts';
import { Hub } from './hub/hub.ts';
import { Outbox } from './hub/outbox.ts';
import { landingPage } from './pages/landing.ts';
import { playgroundRoutes } from './pages/playground.ts';
import { disconnects } from './protocol/close-codes.ts';
import { DescriptorProbe } from './telemetry/descriptor-probe.ts';
import { DisconnectLog } from './telemetry/disconnect-log.ts';
import { type Log, rateLimited } from './telemetry/log.ts';
import { Metrics } from './telemetry/metrics.ts';
import type { Authentication } from './websocket/authentication.ts';
import { Clock } from './websocket/clock.ts';
import { Connection, type ConnectionContext } from './websocket/connection.ts';
import { spreadOver } from './websocket/drain.ts';
import { Heartbeat } from './websocket/heartbeat.ts';
import { Wheel } from './websocket/timer-wheel.ts';
import { acceptUpgrades, upgradeRequired } from './websocket/upgrade.ts';

/** A server made of a configuration; nothing is bound before `listen`. */
export interface Server {
  /** Resolves to the bound address, or to undefined when it was closed before; rejects when it cannot be bound. */
  listen(): Promise<AddressInfo | undefined>;
  /**
   * Takes no more websockets, says goodbye to those that are open, spread over the drain window, and resolves when
   * the last connection is gone: within seconds of the window whatever the clients do. Calling it twice is safe.
   */
  close(): Promise<void>;
  /** Serves new connections with the certificate that its files hold now. Keeps the old one when they are unusable. */
  renewCertificate(): void;
}

/** How exact pings and deadlines are. One timer drives them all. */
const TICK_MS = 100;
/** What a request in flight may still take when all websockets have gone. */
const FINISH_REQUESTS_MS = 2_000;
const MOST_LAST_TURNS = 1_000;
const MINUTE_MS = 60_000;
/** What messages by way of other processes may wait for company under load, so that they are written together. */
const GATHER_MS = 5;

/** What the process around a server gives it; without a bus this process is all there is. */
export interface Neighbours {
  /** Connects the nodes of one server. */
  readonly bus?: Bus | undefined;
  /** Makes what reads the metrics of all processes of this machine. */
  readonly gatherMetrics?: ((registry: Registry) => () => Promise<string>) | undefined;
  /** How many lines of the log could not be written so far. */
  readonly droppedLines?: () => number;
}

export function createServer(config: Config, log: Log, neighbours: Neighbours = {}): Server {
  const { bus, gatherMetrics, droppedLines = () => 0 } = neighbours;
  const hub = new Hub();
  const tokens = new TokenVerifier(
    config.jwtSecret,
    config.jwtSecretPrevious,
    rateLimited(MINUTE_MS, () =>
      log.warn('a token was signed with a secret of JWT_SECRET_PREVIOUS'),
    ),
  );
  const bodies = new BodyReader(config.maxBodyBytes);
  const clock = new Clock(TICK_MS);
  const heartbeat = new Heartbeat(config.pingIntervalMs, TICK_MS, clock);
  const deadlines = new Wheel<Authentication>(TICK_MS, clock, (each) => each.timeOut());
  const wall = { now: () => Date.now() };
  const expiries = new Wheel<Authentication>(TICK_MS, wall, (each) => each.expire());
  const connections = new Set<Connection>();
  const logMalformed = rateLimited(MINUTE_MS, (topic: string) => {
    log.warn(
      { topic, dropped: broker.malformedTexts },
      'dropped what another program published under BROKER_PREFIX',
    );
  });
  const broker: Broker =
    bus === undefined
      ? new LocalBroker(hub)
      : new RemoteBroker(hub, bus, {
          onMalformed: logMalformed,
          prefix: config.brokerPrefix,
          onChange(isAvailable) {
            if (isAvailable) log.info('broadcasts get through');
            else log.error('the broker is lost: broadcasts do not get through');
            if (isAvailable || !config.reconnectOnBrokerLoss) return;
            for (const connection of connections) connection.end(disconnects.brokerLost);
          },
        });
  const descriptors = new DescriptorProbe(
    rateLimited(MINUTE_MS, () =>
      log.error(
        'no file descriptor is left: new connections are closed at once; raise ulimit -n (systemd: LimitNOFILE)',
      ),
    ),
  );
  const metrics = config.metrics
    ? new Metrics({ hub, connections, broker, descriptors, droppedLines })
    : undefined;
  const disconnectLog = new DisconnectLog(log);
  const context: ConnectionContext = {
    config,
    disconnectLog,
    metrics,
    hub,
    broker,
    tokens,
    heartbeat,
    deadlines,
    expiries,
    outbox: new Outbox({ gatherMs: bus === undefined ? 0 : GATHER_MS }),
    compressor: new Compressor(),
    connections,
  };
  let stopClock = () => {};
  let closing: Promise<void> | undefined;

  const health = () => {
    if (closing !== undefined) return 'draining';
    return broker.isAvailable ? 'ok' : 'broker unavailable';
  };

  const { httpServer, destroySockets } = createListener(
    config.tls,
    createRouter(
      {
        'GET /': landingPage({ playground: config.development }),
        'GET /info.json': infoHandler(broker),
        'GET /healthz': healthHandler(health),
        'POST /broadcast': broadcastHandler({ config, bodies, tokens, broker, log, metrics }),
        'GET /subscribe': upgradeRequired,
        ...(metrics && {
          'GET /metrics': metricsHandler(
            gatherMetrics?.(metrics.registry) ?? (() => metrics.registry.metrics()),
            config.metricsToken,
          ),
        }),
        ...(config.development && playgroundRoutes(config, bodies)),
      },
      log,
    ),
  );
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
    disconnectLog.drain();
    // Whoever keeps a connection for its next request must look for another server.
    httpServer.prependListener('request', (_request, response) => {
      response.setHeader('Connection', 'close');
    });
    await spreadOver(connections, config.drainMs, (connection) => {
      connection.end(disconnects.shuttingDown);
    });
    const closed = new Promise<void>((resolve) => httpServer.close(() => resolve()));
    const patience = setTimeout(destroySockets, FINISH_REQUESTS_MS);
    await closed;
    // ws says so of the last ones a few turns after their sockets have gone.
    for (let turn = 0; turn < MOST_LAST_TURNS && connections.size > 0; turn += 1) {
      await setImmediate();
    }
    clearTimeout(patience);
    stopClock();
    disconnectLog.flush();
    await broker.close();
    log.info('closed');
  };

  return {
    listen: () =>
      new Promise((resolve, reject) => {
        const fail = (error: Error) => {
          void broker.close();
          reject(error);
        };
        if (closing !== undefined) {
          resolve(undefined);
          return;
        }
        httpServer.once('error', fail);
        // Closed while the name of the host is still being looked up, it never listens.
        httpServer.once('close', () => resolve(undefined));
        httpServer.listen(config.port, config.host, () => {
          httpServer.off('error', fail);
          httpServer.on('error', (error) => {
            log.error({ err: error }, 'a connection could not be accepted');
          });
          stopClock = clock.start(() => {
            heartbeat.tick();
            deadlines.tick();
            expiries.tick();
            descriptors.check();
            disconnectLog.tick();
          });
          resolve(httpServer.address() as AddressInfo);
        });
      }),
    close: () => (closing ??= shutDown()),
    renewCertificate() {
      if (config.tls === undefined) return;
      try {
        renewCertificate(httpServer, config.tls);
        log.info('certificate renewed');
      } catch (error) {
        log.error({ err: error }, 'the certificate cannot be used; the old one stays');
      }
    },
  };
}
