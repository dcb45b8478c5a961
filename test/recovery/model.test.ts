import fc from 'fast-check';
import { expect, it, vi } from 'vitest';
import { Run, steps } from './steps.ts';

const RUNS = Number(process.env['RECOVERY_RUNS'] ?? 400);
const SEED = Number(process.env['RECOVERY_SEED'] ?? 20_261_121);

const options = fc.record({
  nodes: fc.integer({ min: 1, max: 3 }),
  historyMessages: fc.oneof(fc.integer({ min: 1, max: 6 }), fc.constant(1_000)),
  historyMs: fc.oneof(fc.integer({ min: 200, max: 2_000 }), fc.constant(3_600_000)),
  historyBytes: fc.oneof(fc.integer({ min: 2_000, max: 12_000 }), fc.constant(67_108_864)),
  maxBufferedBytes: fc.oneof(fc.integer({ min: 1_000, max: 8_000 }), fc.constant(4_194_304)),
  /** Milliseconds that pass with every look at the clock: large batches take several turns of the event loop then. */
  slowness: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 6 })),
});

it('gives each broadcast once and in order, or announces what is lost, and announces no more than that', async () => {
  let time = 0;
  let slowness = 0;
  vi.spyOn(performance, 'now').mockImplementation(() => {
    time += slowness;
    return time;
  });
  await fc.assert(
    fc.asyncProperty(options, steps, async (world, sequence) => {
      slowness = world.slowness;
      const run = new Run(world);
      for (const step of sequence) await run.take(step);
      await run.finish();
    }),
    { numRuns: RUNS, seed: SEED, endOnFailure: process.env['RECOVERY_SHRINK'] === undefined },
  );
  expect(time).toBeGreaterThan(0);
});
