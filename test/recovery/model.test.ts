import fc from 'fast-check';
import { expect, it, vi } from 'vitest';
import { Run, steps } from './steps.ts';

/**
 * Random clients on random servers, compared with an oracle that numbers the broadcasts of each channel. Every hole must be
 * announced, nothing may come twice or out of order, no pong may be ahead or go back, and no gap may be announced of what
 * the history must still have.
 *
 * Each of these faults was put into the code once. With the seed below the test failed:
 *
 * | fault | in | first failure, of 1,000 runs |
 * |---|---|---|
 * | the position of now in every `subscribed` | `recovery.ts`, `describe` | 205: nothing is lost without being announced |
 * | replay behind live (`setImmediate`) | `recovery.ts`, `joinChannels` | 17: nothing is lost without being announced |
 * | joining in a microtask | `recoveries.ts`, `broker-local.ts` | 5: what is live comes whole and in order |
 * | joining in `setImmediate` | the same | 5: what is live comes whole and in order |
 * | a trimmed channel taken for complete | `history-memory.ts`, `#findGap` | 3: as many are announced as were missed |
 * | an expired channel taken for a gap | the same | 1: the gap is real |
 * | what was dropped for its age or for bytes taken for complete | the same | 1: as many are announced as were missed |
 * | the epoch ignored | the same | 6: only the epoch of now is recovered |
 * | positioned connections left in the hub after a loss | `connections.ts` | 14: what is live comes whole and in order |
 * | one position for an entry with two channels | `history-memory.ts`, `add` | 5: it comes once |
 * | a pong between the slices of a batch names what is received | `incoming-broadcasts.ts` | 403: a pong is not ahead |
 * | a pong's position does not raise the last one | `history-memory.ts`, `position` | 1: what is live comes whole |
 * | a position in a pong while a token is answered | `connection.ts` | 11: no pong before the token is answered |
 * | replays of several channels not merged | `history-memory.ts`, `recover` | 5: nothing is lost without being announced |
 * | a channel above the limits of a replay taken for complete | the same | 17: as many are announced as were missed |
 * | the answer handed out at once, beside the queue | `recoveries.ts` | 5: what is live comes whole and in order |
 * | read before the subscription is renewed after a loss | the same | 139: what is live comes whole and in order |
 *
 * RECOVERY_RUNS and RECOVERY_SEED run more and others; RECOVERY_SHRINK=1 looks for the smallest sequence that fails.
 */
const RUNS = Number(process.env['RECOVERY_RUNS'] ?? 1_000);
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
  // The order in which a drain ends connections.
  vi.spyOn(Math, 'random').mockReturnValue(0.5);
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
