import { BodyReader } from './http/body/body-reader.ts';
import { broadcastHandler } from './http/broadcast.ts';
import { clientModuleHandler } from './http/client-module.ts';
import { healthHandler } from './http/health.ts';
import { infoHandler } from './http/info.ts';
import { metricsHandler } from './http/metrics.ts';
import { positionHandler } from './http/position.ts';
import type { Handler } from './http/router.ts';
import { landingPage } from './pages/landing.ts';
import { playgroundRoutes } from './pages/playground.ts';
import type { Parts, ServerOptions } from './parts.ts';
import { upgradeRequired } from './websocket/upgrade.ts';

/** What the server answers, by method and path. */
export function createRoutes(
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
    ...(config.development && playgroundRoutes(config, bodies)),
  };
}
