import type { Figures } from '../figures.ts';
import { measureConnections } from '../measure-scenario.ts';
import type { Counts } from '../scenarios.ts';
import { SubscriberGroup } from '../subscriber-group.ts';
import { type ServerSetup, withTestbed } from '../testbed.ts';
import { bifrostSetup, setupVariant, type TrialRow, trial } from './trial.ts';

const MANY_SUBSCRIBERS = 1_000;
const ONE_BY_ONE = { inFlight: 1 };

const KEEPING = { env: { HISTORY: 'memory' } };
const keeping = bifrostSetup('HISTORY=memory', KEEPING);
const off = bifrostSetup('HISTORY=off', { env: { HISTORY: 'off' } });
const positioned = bifrostSetup('all positioned', { ...KEEPING, protocol: 'bifrostPositioned' });
const plain = bifrostSetup('all plain', KEEPING);

function measureBroadcasts(subscribers: number) {
  return (setup: ServerSetup, counts: Counts): Promise<Figures> =>
    withTestbed(setup, async (testbed) => {
      const options = { subscribers, pace: ONE_BY_ONE };
      const group = await SubscriberGroup.createWarm(testbed, options, counts);
      return group.broadcast(counts.measured, ONE_BY_ONE);
    });
}

/** A machine that other programs use shows nothing finer than this. */
const MAX_RATIO = 1.5;

function cpuRow(baseline: string): TrialRow {
  const title = 'µs of CPU per delivery';
  return { title, figure: 'cpuUsPerDelivery', baseline, max: MAX_RATIO, isPaired: true };
}

const TO_MANY = {
  full: { warmUp: 150, measured: 300 },
  quick: { warmUp: 5, measured: 20 },
  maxConnections: () => MANY_SUBSCRIBERS,
} as const;

const toMany = measureBroadcasts(MANY_SUBSCRIBERS);
const toOne = measureBroadcasts(1);

/** What it costs to keep what was said, when it goes to many. */
export const historyTrial = trial('history', 'history, 1 → 1,000, 1 in flight', {
  ...TO_MANY,
  variants: [setupVariant('memory', keeping, toMany), setupVariant('off', off, toMany)],
  rows: [cpuRow('off')],
});

/** What it costs to keep what was said, when it goes to one. */
export const historyToOneTrial = trial('history-1', 'history, 1 → 1, 1 in flight', {
  full: { warmUp: 6_000, measured: 8_000 },
  quick: { warmUp: 100, measured: 300 },
  maxConnections: () => 1,
  variants: [setupVariant('memory', keeping, toOne), setupVariant('off', off, toOne)],
  rows: [cpuRow('off')],
});

/** What it costs to tell every subscriber the position. */
export const positionedTrial = trial('positioned', 'positions, 1 → 1,000, 1 in flight', {
  ...TO_MANY,
  variants: [setupVariant('positioned', positioned, toMany), setupVariant('plain', plain, toMany)],
  rows: [cpuRow('plain')],
});

function measureMemory(setup: ServerSetup, counts: Counts): Promise<Figures> {
  return withTestbed(setup, async (testbed) => {
    const figures = await measureConnections(testbed, counts);
    return { rssKbPerConnection: figures.rssBytesPerConnection / 1_000 };
  });
}

/** A connection takes no more memory for being able to come back. */
export const idleMemoryTrial = trial('idle', 'connections that stay', {
  full: { warmUp: 1_000, measured: 10_000 },
  quick: { warmUp: 100, measured: 500, speed: 10 },
  maxConnections: ({ warmUp, measured }) => warmUp + measured,
  variants: [
    setupVariant('positioned', positioned, measureMemory),
    setupVariant('plain', plain, measureMemory),
    setupVariant('off', off, measureMemory),
  ],
  rows: ['plain', 'off'].map((baseline) => ({
    title: 'KB of RSS each',
    figure: 'rssKbPerConnection',
    baseline,
    max: MAX_RATIO,
    isPaired: true,
  })),
});
