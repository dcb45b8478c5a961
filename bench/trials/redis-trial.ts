import type { Figures } from '../figures.ts';
import type { Counts } from '../scenarios.ts';
import { SubscriberGroup } from '../subscriber-group.ts';
import { redisVersion, withTemporaryRedis } from '../temporary-redis.ts';
import { type ServerSetup, withTestbed } from '../testbed.ts';
import { bifrostSetup, setupVariant, trial } from './trial.ts';

const SUBSCRIBERS = 1_000;
const SIXTEEN = { inFlight: 16 };
const ONE_BY_ONE = { inFlight: 1 };
/** How many broadcasts are posted one by one for each one that is posted with others in flight. */
const ONE_BY_ONE_SHARE = 0.2;

function measure(setup: ServerSetup, { warmUp, measured }: Counts): Promise<Figures> {
  return withTestbed(setup, async (testbed) => {
    const oneByOne = Math.ceil(measured * ONE_BY_ONE_SHARE);
    const group = await SubscriberGroup.createWarm(
      testbed,
      { subscribers: SUBSCRIBERS, pace: SIXTEEN },
      { warmUp, measured: measured + oneByOne },
    );
    const figures = await group.broadcast(measured, SIXTEEN);
    const { p50Ms } = await group.broadcast(oneByOne, ONE_BY_ONE);
    return { ...figures, oneByOneP50Ms: p50Ms };
  });
}

/** Two nodes do together what one process does alone. */
export const redisTrial = trial('redis', '1 → 1,000, 16 in flight, two nodes and Redis', {
  full: { warmUp: 200, measured: 1_000 },
  quick: { warmUp: 32, measured: 64 },
  maxConnections: () => SUBSCRIBERS,
  missingRequirement: () => (redisVersion === undefined ? 'redis-server' : undefined),
  variants: [
    {
      name: 'redis',
      title: 'two nodes and Redis',
      measure: (counts) =>
        withTemporaryRedis((url) =>
          measure(
            bifrostSetup('Two nodes and Redis', { serverCount: 2, env: { REDIS_URL: url } }),
            counts,
          ),
        ),
    },
    setupVariant('one', bifrostSetup('one process'), measure),
  ],
  rows: [
    {
      title: 'µs of CPU per delivery',
      figure: 'cpuUsPerDelivery',
      baseline: 'one',
      max: 1.6,
    },
    { title: 'frames per read', figure: 'framesPerRead', baseline: 'one' },
    {
      title: 'p50 at 1 in flight, ms',
      figure: 'oneByOneP50Ms',
      baseline: 'one',
      comparison: 'difference',
    },
  ],
  note: 'CPU is that of both nodes together, without Redis.',
});
