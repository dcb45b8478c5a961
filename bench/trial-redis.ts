import { createAudience } from './audience.ts';
import type { Figures } from './figures.ts';
import { redisVersion, withRedis } from './redis.ts';
import type { Counts } from './scenarios.ts';
import { onStage, type Setup } from './stage.ts';
import { bifrostSetup, type Trial } from './trial.ts';

const SUBSCRIBERS = 1_000;
const SIXTEEN = { inFlight: 16 };
const ONE_BY_ONE = { inFlight: 1 };
/** For each broadcast of those in flight, so many are posted one by one. */
const ONE_BY_ONE_SHARE = 0.2;

function measure(setup: Setup, { warmUp, measured }: Counts): Promise<Figures> {
  return onStage(setup, async (stage) => {
    const oneByOne = Math.ceil(measured * ONE_BY_ONE_SHARE);
    const audience = await createAudience(stage, { broadcasts: warmUp + measured + oneByOne });
    await audience.join(SUBSCRIBERS);
    await audience.broadcast(warmUp, SIXTEEN);
    const figures = await audience.broadcast(measured, SIXTEEN);
    const { p50Ms } = await audience.broadcast(oneByOne, ONE_BY_ONE);
    return { ...figures, oneByOneP50Ms: p50Ms };
  });
}

/** Two nodes that share what one would do alone. */
export const redisTrial: Trial = {
  kind: 'trial',
  name: 'redis',
  title: '1 → 1,000, 16 in flight, two nodes and Redis',
  full: { warmUp: 200, measured: 1_000 },
  quick: { warmUp: 64, measured: 160 },
  connections: () => SUBSCRIBERS,
  lacks: () => (redisVersion === undefined ? 'redis-server' : undefined),
  entrants: [
    {
      name: 'redis',
      title: 'two nodes and Redis',
      measure: (counts) =>
        withRedis((url) =>
          measure(
            bifrostSetup('Two nodes and Redis', { servers: 2, env: { REDIS_URL: url } }),
            counts,
          ),
        ),
    },
    {
      name: 'one',
      title: 'one process',
      measure: (counts) => measure(bifrostSetup('One process', {}), counts),
    },
  ],
  lines: [
    {
      title: 'µs of CPU per delivery',
      figure: 'cpuUsPerDelivery',
      against: 'one',
      atMost: 1.6,
    },
    { title: 'frames per read', figure: 'framesPerRead', against: 'one' },
    { title: 'p50 at 1 in flight, ms', figure: 'oneByOneP50Ms', against: 'one', as: 'difference' },
  ],
  note: 'CPU is that of both nodes together, without Redis.',
};
