import { setTimeout as sleep } from 'node:timers/promises';
import type { Figures } from '../figures.ts';
import { countOpenFiles } from '../process-stats.ts';
import type { Counts } from '../scenarios.ts';
import { SubscriberGroup } from '../subscriber-group.ts';
import { type ServerSetup, type Testbed, withTestbed } from '../testbed.ts';
import { bifrostSetup, type Trial } from './trial.ts';

const SUBSCRIBERS = 1_000;
const WORKERS = 2;
/** The first worker answers while the last one is still starting. */
const WORKERS_START_MS = 1_000;
/** Where a worker has less than this part of an even share of the subscribers, the run measures something else. */
const MIN_SHARE = 0.8;
const PACE = { inFlight: 16 };

// Pinned to one core, neither could show what a second worker brings.
const twoWorkers = bifrostSetup('Two workers', {
  env: { WEB_CONCURRENCY: String(WORKERS) },
  core: 'any',
});
const oneProcess = bifrostSetup('One process', { core: 'any' });

/** Throws unless every worker has its share of the subscribers. */
function checkShares({ servers }: Testbed): void {
  const minFiles = (SUBSCRIBERS / WORKERS) * MIN_SHARE;
  const openFiles = servers.flatMap(({ pid }) => countOpenFiles(pid));
  if (openFiles.filter((count) => count >= minFiles).length >= WORKERS) return;
  throw new Error(`The workers do not share the subscribers: open files by process: ${openFiles}`);
}

function measure(setup: ServerSetup, { warmUp, measured }: Counts): Promise<Figures> {
  return withTestbed(setup, async (testbed) => {
    const group = await SubscriberGroup.create(testbed, { broadcasts: warmUp + measured });
    if (setup === twoWorkers) await sleep(WORKERS_START_MS);
    await group.add(SUBSCRIBERS);
    if (setup === twoWorkers) checkShares(testbed);
    await group.broadcast(warmUp, PACE);
    return group.broadcast(measured, PACE);
  });
}

/** Two workers do together what one process does alone. */
export const clusterTrial: Trial = {
  kind: 'trial',
  name: 'cluster',
  title: '1 → 1,000, 16 in flight, two workers',
  full: { warmUp: 200, measured: 1_000 },
  quick: { warmUp: 64, measured: 160 },
  maxConnections: () => SUBSCRIBERS,
  variants: [
    { name: 'cluster', title: 'two workers', measure: (counts) => measure(twoWorkers, counts) },
    { name: 'one', title: 'one process', measure: (counts) => measure(oneProcess, counts) },
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
};
