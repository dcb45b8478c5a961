import type { TokenVerifier } from '../auth/token-verifier.ts';
import type { Broker } from '../broker/broker.ts';
import type { Config } from '../config/config.ts';
import type { Compressor } from '../hub/compressor.ts';
import type { Hub } from '../hub/hub.ts';
import type { Outbox } from '../hub/outbox.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { Connections } from './connections.ts';
import type { Replays } from './replays.ts';

/** What all connections of a server share. */
export interface ConnectionContext {
  readonly config: Config;
  readonly hub: Hub;
  readonly broker: Broker;
  readonly tokens: TokenVerifier;
  readonly metrics: Metrics | undefined;
  readonly outbox: Outbox;
  readonly compressor: Compressor;
  readonly replays: Replays;
  readonly connections: Connections;
}
