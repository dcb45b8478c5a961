import type { Registry } from 'prom-client';
import { TokenVerifier } from './auth/token-verifier.ts';
import type { Broker } from './broker/broker.ts';
import { LocalBroker, type LocalBrokerOptions } from './broker/broker-local.ts';
import type { Bus } from './broker/bus.ts';
import { MemoryHistory } from './broker/history-memory.ts';
import { DistributedBroker } from './broker/nodes/broker-distributed.ts';
import type { Config } from './config/config.ts';
import { Compressor } from './hub/compressor.ts';
import { Hub } from './hub/hub.ts';
import { Outbox } from './hub/outbox.ts';
import { disconnects } from './protocol/close-codes.ts';
import { DescriptorProbe } from './telemetry/descriptor-probe.ts';
import { type Log, rateLimited } from './telemetry/log.ts';
import { Metrics } from './telemetry/metrics.ts';
import type { ConnectionContext } from './websocket/connection-context.ts';
import { Connections } from './websocket/connections.ts';
import { Replays } from './websocket/replays.ts';

/** What the process provides to its server. Without a bus, this process is the only node. */
export interface ServerOptions {
  /** Connects the nodes of one server. */
  readonly bus?: Bus | undefined;
  /** What was kept before this start. By default a history begins empty, if one is configured. */
  readonly history?: MemoryHistory | undefined;
  /**
   * Called with every broadcast and how many sockets it was handed to, in the one order; one on several channels counts
   * as several. Without a bus only. Must not throw.
   */
  readonly onBroadcast?: LocalBrokerOptions['onPublished'];
  /** Creates the function that reads the metrics of all processes of this machine. */
  readonly createMetricsReader?: ((registry: Registry) => () => Promise<string>) | undefined;
  /** With this key in its query string a request sees the playground; never in production, and needless in development. */
  readonly playgroundKey?: string | undefined;
  /** How many lines of the log could not be written so far. */
  readonly droppedLines?: () => number;
}

const MINUTE_MS = 60_000;
/** How long messages from other processes may wait under load, so that they are written together. */
const FLUSH_DELAY_MS = 5;

/** What a server consists of. Connections need most of it. */
export interface Parts extends ConnectionContext {
  readonly log: Log;
  readonly descriptors: DescriptorProbe;
  /** Undefined when this process keeps nothing itself. */
  readonly history: MemoryHistory | undefined;
}

/** Makes everything that a server consists of, apart from its listener. The broker begins to connect to its bus. */
export function createParts(config: Config, log: Log, options: ServerOptions): Parts {
  const { bus, droppedLines } = options;
  const connections = new Connections(config, log);
  const hub = new Hub();
  const outbox = new Outbox({ flushDelayMs: bus === undefined ? 0 : FLUSH_DELAY_MS });
  const isWriting = () => outbox.isWriting;
  // With a bus the history belongs to it.
  const history =
    config.history === 'memory' && bus === undefined
      ? (options.history ?? new MemoryHistory(config))
      : undefined;
  const onOldSecret = () => log.warn('a token was signed with a secret of JWT_SECRET_PREVIOUS');
  const onShortage = () =>
    log.error(
      'no file descriptor is left: new connections are closed at once; raise ulimit -n (systemd: LimitNOFILE)',
    );
  const broker = bus
    ? connectBroker(config, log, {
        hub,
        isWriting,
        bus,
        connections,
      })
    : new LocalBroker(hub, { isWriting, history, onPublished: options.onBroadcast });
  const descriptors = new DescriptorProbe(rateLimited(MINUTE_MS, onShortage));
  return {
    config,
    log,
    hub,
    broker,
    connections,
    descriptors,
    history,
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
          history,
          droppedLines: droppedLines ?? (() => 0),
        })
      : undefined,
    outbox,
    compressor: new Compressor(),
    replays: new Replays(),
  };
}

/** The broker of a server with several nodes. */
function connectBroker(
  config: Config,
  log: Log,
  parts: { hub: Hub; isWriting: () => boolean; bus: Bus; connections: Connections },
): Broker {
  const { hub, isWriting, bus, connections } = parts;
  const logMalformed = rateLimited(MINUTE_MS, (topic: string) => {
    const dropped = broker.malformedTexts;
    log.warn({ topic, dropped }, 'dropped a message of another program under BROKER_PREFIX');
  });
  const logWithoutHistory = rateLimited(MINUTE_MS, () => {
    log.warn(
      'a node without HISTORY=redis publishes under the same BROKER_PREFIX: its broadcasts are not kept, and clients that come back miss them without notice',
    );
  });
  const broker = new DistributedBroker(hub, bus, {
    onMalformed: logMalformed,
    onWithoutHistory: config.history === 'redis' ? logWithoutHistory : undefined,
    prefix: config.brokerPrefix,
    isWriting,
    onLoss: () => connections.suspendPositioned(),
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
