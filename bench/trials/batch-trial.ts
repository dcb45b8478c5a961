import type { BroadcastFigures, Figures } from '../figures.ts';
import type { Counts } from '../scenarios.ts';
import { SubscriberGroup } from '../subscriber-group.ts';
import { withTestbed } from '../testbed.ts';
import { bifrostSetup, trial } from './trial.ts';

const BATCH_SIZE = 100;
const MANY_SUBSCRIBERS = 1_000;
/** A share of the counts: each broadcast to many subscribers takes as much time as many to one. */
const MANY_SHARE = 0.04;

/** How broadcasts are posted. */
interface Form {
  readonly batchSize?: number;
  readonly inFlight: number;
}

const batches: Form = { batchSize: BATCH_SIZE, inFlight: 1 };
const singly: Form = { inFlight: 16 };

function wholeBatches(broadcasts: number): number {
  return Math.ceil(broadcasts / BATCH_SIZE) * BATCH_SIZE;
}

function measureGroup(
  { batchSize, inFlight }: Form,
  subscribers: number,
  counts: Counts,
): Promise<BroadcastFigures> {
  return withTestbed(bifrostSetup(`Batches, 1 → ${subscribers}`), async (testbed) => {
    const warmUp = wholeBatches(counts.warmUp);
    const measured = wholeBatches(counts.measured);
    const pace = { inFlight };
    const group = await SubscriberGroup.createWarm(
      testbed,
      { subscribers, pace, batchSize },
      { warmUp, measured },
    );
    return group.broadcast(measured, pace);
  });
}

async function measure(form: Form, { warmUp, measured }: Counts): Promise<Figures> {
  const one = await measureGroup(form, 1, { warmUp, measured });
  const many = await measureGroup(form, MANY_SUBSCRIBERS, {
    warmUp: warmUp * MANY_SHARE,
    measured: measured * MANY_SHARE,
  });
  return {
    ...one,
    cpuUsPerDeliveryToMany: many.cpuUsPerDelivery,
    deliveriesPerSecondToMany: many.deliveriesPerSecond,
  };
}

/** A broadcast that travels with others costs less than one of its own. */
export const batchTrial = trial('batch', `batches of ${BATCH_SIZE}, 1 in flight`, {
  fullSeconds: 15,
  full: { warmUp: 10_000, measured: 50_000 },
  quick: { warmUp: 500, measured: 2_500 },
  maxConnections: () => MANY_SUBSCRIBERS,
  variants: [
    { name: 'batch', title: 'batches', measure: (counts) => measure(batches, counts) },
    {
      name: 'single',
      title: 'single form, 16 in flight',
      measure: (counts) => measure(singly, counts),
    },
  ],
  rows: [
    {
      title: '1 → 1: µs of CPU per delivery',
      figure: 'cpuUsPerDelivery',
      baseline: 'single',
      max: 0.3,
    },
    {
      title: '1 → 1,000: µs of CPU per delivery',
      figure: 'cpuUsPerDeliveryToMany',
      baseline: 'single',
      max: 0.3,
    },
    { title: '1 → 1: deliveries/s', figure: 'deliveriesPerSecond', baseline: 'single' },
    { title: '1 → 1,000: deliveries/s', figure: 'deliveriesPerSecondToMany', baseline: 'single' },
  ],
});
