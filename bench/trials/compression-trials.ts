import { setTimeout as sleep } from 'node:timers/promises';
import { bifrost, wsLoopCommand } from '../competitors.ts';
import type { Figures } from '../figures.ts';
import { SETTLE_MS } from '../measure-scenario.ts';
import type { Counts } from '../scenarios.ts';
import { SubscriberGroup } from '../subscriber-group.ts';
import { type ServerSetup, withTestbed } from '../testbed.ts';
import { bifrostSetup, setupVariant, trial } from './trial.ts';

const SUBSCRIBERS = 1_000;
const ONE_BY_ONE = { inFlight: 1 };

const COMPRESSION_ENV = { COMPRESSION: 'true' };
const compressing = bifrostSetup('Bifröst with compression', { env: COMPRESSION_ENV });
const plain = bifrostSetup('Bifröst without compression');
const wsCompressing: ServerSetup = {
  title: 'ws loop with perMessageDeflate',
  protocol: bifrost.protocol,
  command: wsLoopCommand(),
  env: COMPRESSION_ENV,
};

function measureBroadcasts(setup: ServerSetup, counts: Counts): Promise<Figures> {
  const deflate = setup.env === COMPRESSION_ENV;
  return withTestbed(setup, async (testbed) => {
    const group = await SubscriberGroup.createWarm(
      testbed,
      { subscribers: SUBSCRIBERS, pace: ONE_BY_ONE, message: 'rows', deflate },
      counts,
    );
    return group.broadcast(counts.measured, ONE_BY_ONE);
  });
}

/** Counts are connections. Each sends and receives compressed messages before the memory is read. */
function measureMemory(
  setup: ServerSetup,
  { warmUp, measured, speed = 1 }: Counts,
): Promise<Figures> {
  return withTestbed(setup, async (testbed) => {
    const group = await SubscriberGroup.create(testbed, {
      broadcasts: 2,
      message: 'rows',
      deflate: true,
    });
    const addAndBroadcast = async (count: number) => {
      await group.add(count);
      await group.broadcast(1, ONE_BY_ONE);
      await sleep(SETTLE_MS / speed);
      return testbed.readUsage().rssBytes;
    };
    const before = await addAndBroadcast(warmUp);
    const after = await addAndBroadcast(measured);
    return { rssKbPerConnection: (after - before) / measured / 1_000 };
  });
}

/** Bifröst compresses a message once for all subscribers, ws once for each. */
export const compressionTrial = trial(
  'deflate',
  '1 → 1,000, 1 in flight, 2 KiB of JSON, compressed',
  {
    full: { warmUp: 10, measured: 40 },
    quick: { warmUp: 1, measured: 6 },
    maxConnections: () => SUBSCRIBERS,
    variants: [
      setupVariant('bifrost', compressing, measureBroadcasts),
      setupVariant('ws', wsCompressing, measureBroadcasts),
      setupVariant('plain', plain, measureBroadcasts),
    ],
    rows: [
      { title: 'bytes per delivery', figure: 'bytesPerDelivery', baseline: 'ws' },
      { title: 'bytes per delivery', figure: 'bytesPerDelivery', baseline: 'plain' },
      { title: 'µs of CPU per delivery', figure: 'cpuUsPerDelivery', baseline: 'ws' },
      { title: 'µs of CPU per delivery', figure: 'cpuUsPerDelivery', baseline: 'plain' },
    ],
    note: 'ws compresses for each connection and refers to earlier messages, so its frames are smaller.',
  },
);

/** The memory of connections that compress both ways, as browsers do. */
export const compressionMemoryTrial = trial(
  'deflate-memory',
  'connections that compress both ways',
  {
    full: { warmUp: 500, measured: 5_000 },
    quick: { warmUp: 50, measured: 200, speed: 10 },
    maxConnections: ({ warmUp, measured }) => warmUp + measured,
    variants: [
      setupVariant('bifrost', compressing, measureMemory),
      setupVariant('ws', wsCompressing, measureMemory),
    ],
    rows: [{ title: 'KB of RSS each', figure: 'rssKbPerConnection', baseline: 'ws', max: 0.6 }],
  },
);
