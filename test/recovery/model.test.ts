import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, it, onTestFinished, vi } from 'vitest';
import { Run, steps } from './steps.ts';

/**
 * Random clients on random servers, compared with an oracle that numbers the broadcasts of each channel. Every hole must be
 * announced, nothing may come twice or out of order, no pong may be ahead or go back, and no gap may be announced of what
 * the history must still have.
 *
 * Each of these faults was put into the code once, and the test failed in that run of the seed below:
 *
 * | fault | in | run | what the test said |
 * |---|---|---|---|
 * | the position of now in every `subscribed` | `recovery.ts`, `describe` | 74 | nothing is lost without being announced |
 * | replay behind live (`setImmediate`) | `recovery.ts`, `joinChannels` | 18 | nothing is lost without being announced |
 * | joining in a microtask | `recoveries.ts`, `broker-local.ts` | 12 | what is live comes whole and in order |
 * | joining in `setImmediate` | the same | 12 | what is live comes whole and in order |
 * | a trimmed channel taken for complete | `history-memory.ts`, `#findGap` | 2 | as many are announced as were missed |
 * | an expired channel taken for a gap | the same | 7 | the gap is real |
 * | what was dropped by age or bytes taken for complete | the same | 18 | as many are announced as were missed |
 * | the epoch ignored | the same | 6 | only the epoch of now is recovered |
 * | replaying what is too old: nothing expires first | `recover` | 100 | nothing is replayed that is too old |
 * | a channel above the limits taken for complete | `recover` | 81 | as many are announced as were missed |
 * | replays of several channels not merged | `recover` | 12 | nothing is lost without being announced |
 * | one position for an entry with two channels | `add` | 12 | nothing is missing at the end |
 * | a pong's position does not raise the last one | `position` | 7 | the gap is real |
 * | a clock behind after a restart not put forward | `restore` | 100 | nothing is replayed that is too old |
 * | `floor` not restored, `trimmed` not restored | `restore` | 410, 191 | as many are announced as were missed |
 * | the file of an older process read after a crash | `owned-file.ts` | 2 | what was kept is known again, or is not |
 * | positioned connections left in the hub after a loss | `connections.ts` | 19 | what is live comes whole and in order |
 * | a pong between slices names what is received | `incoming-broadcasts.ts` | 173 | a pong names no position ahead |
 * | a position in a pong while a token is answered | `connection.ts` | 152 | no pong names a position before |
 * | the answer handed out at once, beside the queue | `recoveries.ts` | 12 | what is live comes whole and in order |
 * | read before the subscription is renewed | `recoveries.ts` | 1172 | what is live comes whole and in order |
 *
 * RECOVERY_RUNS and RECOVERY_SEED run more and others; RECOVERY_SHRINK=1 looks for the smallest sequence that fails.
 */
const RUNS = Number(process.env['RECOVERY_RUNS'] ?? 1_500);
const SEED = Number(process.env['RECOVERY_SEED'] ?? 20_261_121);

const options = fc.record({
  nodes: fc.integer({ min: 1, max: 3 }),
  hasFile: fc.boolean(),
  historyMessages: fc.oneof(fc.integer({ min: 1, max: 6 }), fc.constant(1_000)),
  historyMs: fc.oneof(fc.integer({ min: 200, max: 2_000 }), fc.constant(3_600_000)),
  historyBytes: fc.oneof(fc.integer({ min: 2_000, max: 12_000 }), fc.constant(67_108_864)),
  maxBufferedBytes: fc.oneof(fc.integer({ min: 1_000, max: 8_000 }), fc.constant(4_194_304)),
  /** Milliseconds that pass with every look at the clock: large batches take several turns of the event loop then. */
  slowness: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 6 })),
});

it('gives each broadcast once and in order, or announces what is lost, and announces no more than that', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'bifrost-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  let count = 0;
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
      const run = new Run(world, join(folder, `${count}`));
      count += 1;
      await run.begin();
      for (const step of sequence) await run.take(step);
      await run.finish();
    }),
    { numRuns: RUNS, seed: SEED, endOnFailure: process.env['RECOVERY_SHRINK'] === undefined },
  );
  expect(time).toBeGreaterThan(0);
});
