import { setTimeout as sleep } from 'node:timers/promises';
import type { Figures } from '../figures.ts';
import { countOpenFiles } from '../process-stats.ts';
import type { Counts } from '../scenarios.ts';
import { SubscriberGroup } from '../subscriber-group.ts';
import { type ServerSetup, type Testbed, withTestbed } from '../testbed.ts';
import { bifrostSetup, setupVariant, trial } from './trial.ts';

const SUBSCRIBERS = 1_000;
const WORKERS = 2;
/** The first worker answers while the last one is still starting. */
const WORKERS_START_MS = 1_000;
/** Where a worker has less than this part of an even share of the subscribers, the run measures something else. */
const MIN_SHARE = 0.8;
const PACE = { inFlight: 16 };

// Pinned to one core, neither could show what a second worker brings.
const twoWorkers = bifrostSetup('two workers', {
  env: { WEB_CONCURRENCY: String(WORKERS) },
  core: 'any',
});
const oneProcess = bifrostSetup('one process', { core: 'any' });

/** Throws unless every worker has its share of the subscribers. */
function checkShares({ servers }: Testbed): void {
  const minFiles = (SUBSCRIBERS / WORKERS) * MIN_SHARE;
  const openFiles = servers.flatMap(({ pid }) => countOpenFiles(pid));
  if (openFiles.filter((count) => count >= minFiles).length >= WORKERS) return;
  throw new Error(`The workers do not share the subscribers: open files by process: ${openFiles}`);
}

function measure(setup: ServerSetup, counts: Counts): Promise<Figures> {
  return withTestbed(setup, async (testbed) => {
    if (setup === twoWorkers) await sleep(WORKERS_START_MS);
    const options = { subscribers: SUBSCRIBERS, pace: PACE };
    const group = await SubscriberGroup.createWarm(testbed, options, counts);
    if (setup === twoWorkers) checkShares(testbed);
    return group.broadcast(counts.measured, PACE);
  });
}

/** Two workers do together what one process does alone. */
export const clusterTrial = trial('cluster', '1 → 1,000, 16 in flight, two workers', {
  full: { warmUp: 200, measured: 1_000 },
  quick: { warmUp: 32, measured: 64 },
  maxConnections: () => SUBSCRIBERS,
  variants: [
    setupVariant('cluster', twoWorkers, measure),
    setupVariant('one', oneProcess, measure),
  ],
  rows: [
    {
      title: 'µs of CPU per delivery',
      figure: 'cpuUsPerDelivery',
      baseline: 'one',
      max: 1.25,
    },
    { title: 'frames per read', figure: 'framesPerRead', baseline: 'one' },
    { title: 'deliveries/s', figure: 'deliveriesPerSecond', baseline: 'one' },
  ],
  note: 'CPU is that of the primary and its workers together. Where the load generators need one of two cores, deliveries a second cannot show what a second worker adds: only what it costs.',
});
