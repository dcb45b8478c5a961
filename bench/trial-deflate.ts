import { setTimeout as sleep } from 'node:timers/promises';
import { createAudience } from './audience.ts';
import type { Figures } from './figures.ts';
import { SETTLE_MS } from './measure.ts';
import { peers, wsLoop } from './peers.ts';
import type { Counts } from './scenarios.ts';
import { onStage, type Setup } from './stage.ts';
import { bifrostSetup, type Trial } from './trial.ts';

const SUBSCRIBERS = 1_000;
const ONE_BY_ONE = { inFlight: 1 };

const env = { COMPRESSION: 'true' };
const compressing = bifrostSetup('Bifröst with compression', { env });
const plain = bifrostSetup('Bifröst without compression', {});
const wsCompressing: Setup = {
  title: 'ws loop with perMessageDeflate',
  dialect: peers[0].dialect,
  command: wsLoop(),
  env,
};

function measureBroadcasts(setup: Setup, { warmUp, measured }: Counts): Promise<Figures> {
  return onStage(setup, async (stage) => {
    const audience = await createAudience(stage, {
      broadcasts: warmUp + measured,
      message: 'rows',
      deflate: setup.env === env,
    });
    await audience.join(SUBSCRIBERS);
    await audience.broadcast(warmUp, ONE_BY_ONE);
    return audience.broadcast(measured, ONE_BY_ONE);
  });
}

/** Counts are connections: each has sent a compressed message and received one. */
function measureMemory(setup: Setup, { warmUp, measured }: Counts): Promise<Figures> {
  return onStage(setup, async (stage) => {
    const audience = await createAudience(stage, { broadcasts: 2, message: 'rows', deflate: true });
    const joinAndListen = async (count: number) => {
      await audience.join(count);
      await audience.broadcast(1, ONE_BY_ONE);
      await sleep(SETTLE_MS);
      return stage.usage().rssBytes;
    };
    const before = await joinAndListen(warmUp);
    const after = await joinAndListen(measured);
    return { rssKbPerConnection: (after - before) / measured / 1_000 };
  });
}

/** A message compressed once for everyone, beside one compressed for each. */
export const deflateTrial: Trial = {
  kind: 'trial',
  name: 'deflate',
  title: '1 → 1,000, 1 in flight, 2 KiB of JSON, compressed',
  full: { warmUp: 10, measured: 40 },
  quick: { warmUp: 1, measured: 6 },
  connections: () => SUBSCRIBERS,
  entrants: [
    {
      name: 'bifrost',
      title: compressing.title,
      measure: (counts) => measureBroadcasts(compressing, counts),
    },
    {
      name: 'ws',
      title: wsCompressing.title,
      measure: (counts) => measureBroadcasts(wsCompressing, counts),
    },
    { name: 'plain', title: plain.title, measure: (counts) => measureBroadcasts(plain, counts) },
  ],
  lines: [
    { title: 'bytes per delivery', figure: 'bytesPerDelivery', against: 'ws' },
    { title: 'bytes per delivery', figure: 'bytesPerDelivery', against: 'plain' },
    { title: 'µs of CPU per delivery', figure: 'cpuUsPerDelivery', against: 'ws' },
    { title: 'µs of CPU per delivery', figure: 'cpuUsPerDelivery', against: 'plain' },
  ],
  note: 'ws compresses for each connection, with the messages before in mind, so its frames are smaller.',
};

/** What it costs to hold connections that compress both ways, as browsers do. */
export const deflateMemoryTrial: Trial = {
  kind: 'trial',
  name: 'deflate-memory',
  title: 'connections that compress both ways',
  full: { warmUp: 500, measured: 5_000 },
  quick: { warmUp: 100, measured: 400 },
  connections: ({ warmUp, measured }) => warmUp + measured,
  entrants: [
    {
      name: 'bifrost',
      title: compressing.title,
      measure: (counts) => measureMemory(compressing, counts),
    },
    {
      name: 'ws',
      title: wsCompressing.title,
      measure: (counts) => measureMemory(wsCompressing, counts),
    },
  ],
  lines: [{ title: 'KB of RSS each', figure: 'rssKbPerConnection', against: 'ws', atMost: 0.6 }],
};
