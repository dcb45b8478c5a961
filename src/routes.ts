import type { Config } from './config/config.ts';
import { BodyReader } from './http/body/body-reader.ts';
import { broadcastHandler } from './http/broadcast.ts';
import { clientModuleHandler } from './http/client-module.ts';
import { healthHandler } from './http/health.ts';
import { infoHandler } from './http/info.ts';
import { metricsHandler } from './http/metrics.ts';
import { positionHandler } from './http/position.ts';
import type { Routes } from './http/router.ts';
import { landingPage } from './pages/landing.ts';
import { playgroundRoutes } from './pages/playground.ts';
import { lacksKey } from './pages/playground-key.ts';
import type { Parts, ServerOptions } from './parts.ts';
import { upgradeRequired } from './websocket/upgrade.ts';

/** What the server answers. */
export function createRoutes(parts: Parts, options: ServerOptions): Routes {
  const { broker, config, connections, metrics } = parts;
  const bodies = new BodyReader(config.maxBodyBytes);
  const health = () => {
    if (connections.isDraining) return 'draining';
    return broker.isAvailable ? 'ok' : 'broker unavailable';
  };
  const { createMetricsReader } = options;
  const playgroundKey = playgroundKeyOf(config, options);
  const handlers = {
    'GET /': landingPage({ playground: config.development }),
    'GET /info.json': infoHandler(broker),
    'GET /client.js': clientModuleHandler(),
    'GET /healthz': healthHandler(health),
    ...(broker.hasHistory && { 'GET /position': positionHandler(broker) }),
    'POST /broadcast': broadcastHandler({ ...parts, bodies }),
    'GET /subscribe': upgradeRequired,
    ...(metrics && {
      'GET /metrics': metricsHandler(
        createMetricsReader?.(metrics.registry) ?? (() => metrics.registry.metrics()),
        config.metricsToken,
      ),
    }),
    ...((config.development || playgroundKey !== undefined) &&
      playgroundRoutes(config, bodies, playgroundKey !== undefined)),
  };
  if (playgroundKey === undefined) return { handlers };
  const isHidden = lacksKey(playgroundKey);
  return { handlers, hidden: { '/test': isHidden, '/test/token': isHidden } };
}

/** What a request must have to see the playground; undefined where everybody sees it, or nobody does. */
function playgroundKeyOf(config: Config, { playgroundKey }: ServerOptions): string | undefined {
  return config.development || config.production ? undefined : playgroundKey;
}
