import { endChild } from '../../test/support/child-cleanup.ts';
import type { Figures } from '../figures.ts';
import { createNumberedMessage } from '../load/numbered-message.ts';
import type { ClientResults, ReconnectingProcedures } from '../load/reconnecting-process.ts';
import { publish } from '../numbered-publisher.ts';
import { readPeakRssBytes, readUsage, resetPeakRss } from '../process-stats.ts';
import { checkRecovered, computeFigures } from '../reconnecting-run.ts';
import { ReplaceableServer } from '../replaceable-server.ts';
import type { Counts } from '../scenarios.ts';
import { readMetric } from '../server-metrics.ts';
import { startLoadGenerator } from '../testbed.ts';
import { PROBED_COMMAND, takeEventLoopDelay } from './event-loop-trial.ts';
import { bifrostSetup, type TrialVariant, trial } from './trial.ts';

const MISSED = 100;
const WITHIN_MS = 1_000;
const TIMEOUT_MS = 60_000;
/** Pairs of channel and message in one request. */
const MAX_BATCH = 1_000;
/** More than was missed by all. */
const HISTORY_BYTES = 1_024 * 1_024 * 1_024;

/** What the clients that come back have missed. */
interface Missed {
  /** Whether each has a channel of its own. */
  readonly isOwn: boolean;
  readonly messageBytes: number;
}

/** Posts every missed message to the channel of all, or to that of each. */
async function publishMissed(
  port: number,
  clients: number,
  { isOwn, messageBytes }: Missed,
): Promise<void> {
  const channels = isOwn ? Array.from({ length: clients }, (_, n) => `user:${n}`) : ['bench'];
  for (let number = 1; number <= MISSED; number++) {
    const message = createNumberedMessage(number, messageBytes);
    for (let from = 0; from < channels.length; from += MAX_BATCH) {
      const entry = { channels: channels.slice(from, from + MAX_BATCH), message };
      await publish([port], { broadcasts: [entry] });
    }
  }
}

async function measureServer(
  { port, process: server }: ReplaceableServer,
  missed: Missed,
  clients: number,
): Promise<Figures> {
  const { child, call } = startLoadGenerator<ReconnectingProcedures>('reconnecting-process');
  try {
    const channel = missed.isOwn ? {} : { channel: 'bench' };
    const common = { session: 'positioned', ports: [port], timeoutMs: TIMEOUT_MS } as const;
    const retryMs = WITHIN_MS;
    await call('connect', { ...common, ...channel, count: clients, maxNumber: MISSED, retryMs });
    await call('leave', undefined);
    await publishMissed(port, clients, missed);

    // What came before does not count.
    await takeEventLoopDelay(server);
    resetPeakRss(server.pid);
    const { bytes } = await call('results', 'positioned');
    const before = readUsage(server.pid);
    await call('comeBack', WITHIN_MS);
    await call('untilReceived', { number: MISSED, timeoutMs: TIMEOUT_MS });
    const results = await call('results', 'positioned');
    const after = readUsage(server.pid);
    const peakRssBytes = readPeakRssBytes(server.pid);
    const { maxMs, p99Ms } = await takeEventLoopDelay(server);

    const replayed = await readMetric(port, 'bifrost_replayed_messages_total');
    checkReplayed(results, replayed);
    return {
      peakRssMb: peakRssBytes / 1e6,
      peakRssGrowthMb: (peakRssBytes - before.rssBytes) / 1e6,
      replayedMb: (results.bytes - bytes) / 1e6,
      cpuUsPerReplayed: ((after.cpuSeconds - before.cpuSeconds) * 1e6) / replayed,
      delayMaxMs: maxMs,
      delayP99Ms: p99Ms,
    };
  } finally {
    await endChild(child, 'SIGKILL');
  }
}

/** Throws unless every client received all that it had missed, once and in order. */
function checkReplayed(results: ClientResults, replayed: number): void {
  checkRecovered('Clients that came back', computeFigures(results, MISSED - 1));
  const expected = results.clients * MISSED;
  if (replayed !== expected) throw new Error(`${replayed} messages were replayed, not ${expected}`);
}

function variant(name: string, title: string, missed: Missed): TrialVariant {
  const setup = bifrostSetup(title, {
    command: PROBED_COMMAND,
    env: { HISTORY_MESSAGES: String(MISSED), HISTORY_BYTES: String(HISTORY_BYTES) },
  });
  return {
    name,
    title,
    async measure({ measured }: Counts) {
      const server = await ReplaceableServer.start(setup);
      try {
        return await measureServer(server, missed, measured);
      } finally {
        await server.kill();
      }
    },
  };
}

/** After a failure of the network everyone comes back at once, and has missed much. */
export const recoveryTrial = trial(
  'recovery',
  `clients come back within a second, each with ${MISSED} missed messages`,
  {
    fullSeconds: 15,
    full: { warmUp: 0, measured: 2_000 },
    quick: { warmUp: 0, measured: 100 },
    maxConnections: ({ measured }) => measured,
    variants: [
      variant('own', 'a channel each, 128 bytes', { isOwn: true, messageBytes: 128 }),
      variant('shared', 'one channel, 2 KiB', { isOwn: false, messageBytes: 2_048 }),
    ],
    rows: [
      { title: 'peak of RSS, MB', figure: 'peakRssMb', baseline: 'shared' },
      { title: 'growth of RSS to its peak, MB', figure: 'peakRssGrowthMb', baseline: 'shared' },
      { title: 'replayed, MB', figure: 'replayedMb', baseline: 'shared' },
      { title: 'µs of CPU per replayed message', figure: 'cpuUsPerReplayed', baseline: 'shared' },
      { title: 'event loop delay max, ms', figure: 'delayMaxMs', baseline: 'shared' },
      { title: 'event loop delay p99, ms', figure: 'delayP99Ms', baseline: 'shared' },
    ],
    note: 'a run in which a message is missing, doubled or out of order fails. CPU includes that of connecting again.',
  },
);
