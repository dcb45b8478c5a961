import { setTimeout as sleep } from 'node:timers/promises';
import type { Figures } from '../figures.ts';
import { createNumberedMessage } from '../load/numbered-message.ts';
import { SETTLE_MS } from '../measure-scenario.ts';
import { publish } from '../numbered-publisher.ts';
import { readUsage } from '../process-stats.ts';
import { ReplaceableServer } from '../replaceable-server.ts';
import type { Counts } from '../scenarios.ts';
import { readMetric } from '../server-metrics.ts';
import { bifrostSetup, type TrialVariant, trial } from './trial.ts';

const MESSAGE_BYTES = 128;
const BATCH_SIZE = 1_000;
const MEBIBYTE = 1_024 * 1_024;
/** By how much the memory may grow when it is bounded: what V8 takes before it collects. */
const MAX_GROWTH_MB = 100;
/** Longer than any run. */
const HISTORY_SECONDS = '86400';

/** Posts a message to each of these channels, and resolves to the server's memory when it has settled. */
async function publishToChannels(
  { port, process: { pid } }: ReplaceableServer,
  from: number,
  to: number,
  speed: number,
): Promise<number> {
  for (let first = from; first < to; first += BATCH_SIZE) {
    const broadcasts = Array.from({ length: BATCH_SIZE }, (_, n) => ({
      channel: `user:${first + n}`,
      message: createNumberedMessage(first + n, MESSAGE_BYTES),
    }));
    await publish([port], { broadcasts });
  }
  await sleep(SETTLE_MS / speed);
  return readUsage(pid).rssBytes;
}

function variant(name: string, title: string, historyBytes: number): TrialVariant {
  const env = { HISTORY_BYTES: String(historyBytes), HISTORY_SECONDS };
  return {
    name,
    title,
    async measure({ warmUp, measured, speed = 1 }: Counts): Promise<Figures> {
      const server = await ReplaceableServer.start(bifrostSetup(title, { env }));
      try {
        const before = await publishToChannels(server, 0, warmUp, speed);
        const after = await publishToChannels(server, warmUp, warmUp + measured, speed);
        const growthMb = (after - before) / 1e6;
        if (historyBytes === MEBIBYTE && growthMb > MAX_GROWTH_MB) {
          throw new Error(`${title}: the server grew by ${growthMb} MB`);
        }
        return {
          growthMb,
          bytesPerChannel: (after - before) / measured,
          keptChannels: await readMetric(server.port, 'bifrost_history_channels'),
        };
      } finally {
        await server.kill();
      }
    },
  };
}

/** Every user has a channel, and one message is kept on each. */
export const keptChannelsTrial = trial(
  'channels',
  `channels with one kept message of ${MESSAGE_BYTES} bytes`,
  {
    fullSeconds: 45,
    full: { warmUp: 100_000, measured: 1_000_000 },
    quick: { warmUp: 10_000, measured: 20_000, speed: 10 },
    maxConnections: () => 0,
    isMeasuredOnce: true,
    variants: [
      variant('kept', 'HISTORY_BYTES of 1 GiB', 1_024 * MEBIBYTE),
      variant('bounded', 'HISTORY_BYTES of 1 MiB', MEBIBYTE),
    ],
    rows: [
      { title: 'channels of which something is kept', figure: 'keptChannels', baseline: 'bounded' },
      { title: 'bytes of RSS per channel', figure: 'bytesPerChannel', baseline: 'bounded' },
      { title: 'growth of RSS, MB', figure: 'growthMb', baseline: 'bounded' },
    ],
  },
);
