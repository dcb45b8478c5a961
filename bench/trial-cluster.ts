import { setTimeout as sleep } from 'node:timers/promises';
import { createAudience } from './audience.ts';
import { openFilesOf } from './cpu.ts';
import type { Figures } from './figures.ts';
import type { Counts } from './scenarios.ts';
import { onStage, type Setup, type Stage } from './stage.ts';
import { bifrostSetup, type Trial } from './trial.ts';

const SUBSCRIBERS = 1_000;
const WORKERS = 2;
/** The first worker answers while the last one starts. */
const START_MS = 1_000;
/** Of an even share: less for one worker is a run that says nothing. */
const LEAST_SHARE = 0.8;
const PACE = { inFlight: 16 };

// Neither may profit from being kept on one core.
const many = bifrostSetup('Two workers', {
  env: { WEB_CONCURRENCY: String(WORKERS) },
  core: 'any',
});
const one = bifrostSetup('One process', { core: 'any' });

/** Throws unless every worker has its share of the subscribers. */
function expectShares({ servers }: Stage): void {
  const least = (SUBSCRIBERS / WORKERS) * LEAST_SHARE;
  const openFiles = servers.flatMap(({ pid }) => openFilesOf(pid));
  if (openFiles.filter((count) => count >= least).length >= WORKERS) return;
  throw new Error(`The subscribers are not shared: open files of each process: ${openFiles}`);
}

function measure(setup: Setup, { warmUp, measured }: Counts): Promise<Figures> {
  return onStage(setup, async (stage) => {
    const audience = await createAudience(stage, { broadcasts: warmUp + measured });
    if (setup === many) await sleep(START_MS);
    await audience.join(SUBSCRIBERS);
    if (setup === many) expectShares(stage);
    await audience.broadcast(warmUp, PACE);
    return audience.broadcast(measured, PACE);
  });
}

/** Workers that share what one process would do alone. */
export const clusterTrial: Trial = {
  kind: 'trial',
  name: 'cluster',
  title: '1 → 1,000, 16 in flight, two workers',
  full: { warmUp: 200, measured: 1_000 },
  quick: { warmUp: 64, measured: 160 },
  connections: () => SUBSCRIBERS,
  entrants: [
    { name: 'cluster', title: 'two workers', measure: (counts) => measure(many, counts) },
    { name: 'one', title: 'one process', measure: (counts) => measure(one, counts) },
  ],
  lines: [
    {
      title: 'µs of CPU per delivery',
      figure: 'cpuUsPerDelivery',
      against: 'one',
      atMost: 1.25,
    },
    { title: 'frames per read', figure: 'framesPerRead', against: 'one' },
    { title: 'deliveries/s', figure: 'deliveriesPerSecond', against: 'one' },
  ],
  note: 'CPU is that of the primary and its workers together. Where the load generators need one of two cores, deliveries a second cannot show what a second worker adds: only what it costs.',
};
