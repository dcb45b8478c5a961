import { on } from 'node:events';
import type { Readable } from 'node:stream';
import type { ServerProcess } from '../../test/support/server-process.ts';
import { bifrostCommand } from '../competitors.ts';
import { type Figures, quantile } from '../figures.ts';
import { LatencyProbe } from '../latency-probe.ts';
import { readProcessIds, readSecondsWithoutCore } from '../process-stats.ts';
import type { Counts } from '../scenarios.ts';
import { SubscriberGroup } from '../subscriber-group.ts';
import { type ServerSetup, withTestbed } from '../testbed.ts';
import { bifrostSetup, setupVariant, trial } from './trial.ts';

const SUBSCRIBERS = 10_000;
const PACE = { inFlight: 4 };
const PROBE_INTERVAL_MS = 50;

/** What `event-loop-delay-probe.js` writes. */
interface EventLoopDelay {
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

const PROBE_TIMEOUT_MS = 10_000;

/** The event loop delay of each process of a server with `event-loop-delay-probe.js` since the last call. */
export async function takeEventLoopDelays({
  child,
  pid,
}: ServerProcess): Promise<readonly EventLoopDelay[]> {
  const signal = AbortSignal.timeout(PROBE_TIMEOUT_MS);
  const chunks = on(child.stderr as Readable, 'data', { signal });
  const pids = readProcessIds(pid);
  for (const member of pids) process.kill(member, 'SIGUSR2');
  let text = '';
  for await (const [chunk] of chunks) {
    text += chunk;
    const lines = text.split('\n').slice(0, -1);
    if (lines.length >= pids.length) return lines.map((line) => JSON.parse(line));
  }
  throw new Error('The server has closed stderr');
}

/** The event loop delay of a server of one process, likewise. */
export async function takeEventLoopDelay(server: ServerProcess): Promise<EventLoopDelay> {
  const [delay] = await takeEventLoopDelays(server);
  if (delay === undefined) throw new Error('The server has no process');
  return delay;
}

/** Starts this server with `event-loop-delay-probe.js`. */
export const PROBED_COMMAND = bifrostCommand(
  '--import',
  import.meta.resolve('./event-loop-delay-probe.js'),
);

const bifrost = bifrostSetup('Bifröst', { command: PROBED_COMMAND });

function measure(setup: ServerSetup, counts: Counts): Promise<Figures> {
  return withTestbed(setup, async (testbed) => {
    const [server] = testbed.servers as [ServerProcess];
    const options = { subscribers: SUBSCRIBERS, pace: PACE };
    const group = await SubscriberGroup.createWarm(testbed, options, counts);

    // What came before does not count.
    await takeEventLoopDelay(server);
    const withoutCoreBefore = readSecondsWithoutCore(server.pid);
    const start = performance.now();
    const probe = new LatencyProbe(
      `http://127.0.0.1:${testbed.ports[0]}/info.json`,
      PROBE_INTERVAL_MS,
    );
    const figures = await group.broadcast(counts.measured, PACE);
    const latenciesMs = await probe.stop();
    const delay = await takeEventLoopDelay(server);
    const seconds = (performance.now() - start) / 1_000;
    const secondsWithoutCore = readSecondsWithoutCore(server.pid) - withoutCoreBefore;

    return {
      ...figures,
      delayP50Ms: delay.p50Ms,
      delayP99Ms: delay.p99Ms,
      delayMaxMs: delay.maxMs,
      withoutCorePercent: (secondsWithoutCore / seconds) * 100,
      answers: latenciesMs.length,
      answerP50Ms: quantile(latenciesMs, 0.5),
      answerP99Ms: quantile(latenciesMs, 0.99),
    };
  });
}

/** While broadcasts go to many subscribers, other requests do not wait for long. */
export const eventLoopTrial = trial('loop', '1 → 10,000, 4 in flight', {
  fullSeconds: 30,
  full: { warmUp: 40, measured: 200 },
  quick: { warmUp: 2, measured: 8 },
  maxConnections: () => SUBSCRIBERS,
  variants: [setupVariant('bifrost', bifrost, measure)],
  rows: [
    { title: 'event loop delay p99, ms', figure: 'delayP99Ms', max: 25 },
    { title: 'event loop delay max, ms', figure: 'delayMaxMs' },
    { title: 'event loop delay p50, ms', figure: 'delayP50Ms' },
    { title: '`GET /info.json` answered p99, ms', figure: 'answerP99Ms' },
    { title: 'deliveries/s', figure: 'deliveriesPerSecond' },
    { title: 'time without a core, %', figure: 'withoutCorePercent' },
  ],
  note: 'the delay includes the time in which other processes of the machine had the core of the server.',
});
