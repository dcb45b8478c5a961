// What the scripts of the history say, compared with a model that keeps everything, on a Redis whose clock is ours.
import fc from 'fast-check';
import { expect, it, onTestFinished } from 'vitest';
import type { BusRecovery } from '../../src/broker/bus.ts';
import { freePort } from '../support/free-port.ts';
import { RedisServer } from '../support/redis.ts';
import { HistorySession } from './history-session.ts';
import { SettableClock } from './settable-clock.ts';

const CHANNELS = ['a', 'b', 'c'] as const;
const MESSAGES = 3;
const AGE_MS = 10_000;
const MAX_MESSAGES = 4;

interface Kept {
  readonly epoch: string;
  readonly number: number;
  readonly message: string;
}

/** All that was ever kept, and every position that a client may have come to. */
class Model {
  readonly kept = new Map<string, Kept[]>(CHANNELS.map((channel) => [channel, []]));
  readonly positions: string[] = [];
  #messages = 0;

  /** A position that a client may come to. Within its epoch none is below one that was given before. */
  given(position: string): void {
    const last = this.positions.at(-1);
    if (last !== undefined && epochOf(last) === epochOf(position)) {
      expect(numberOf(position)).toBeGreaterThanOrEqual(numberOf(last));
    }
    this.positions.push(position);
  }

  nextMessage(): string {
    this.#messages += 1;
    return `{"n":${this.#messages}}`;
  }

  published(channels: readonly string[], texts: readonly string[], last: string): void {
    const first = numberOf(last) - channels.length + 1;
    const before = this.positions.at(-1);
    if (before !== undefined && epochOf(before) === epochOf(last)) {
      expect(first).toBeGreaterThan(numberOf(before));
    }
    for (const [index, channel] of channels.entries()) {
      const number = first + index;
      this.given(`${epochOf(last)}.${number}`);
      const message = texts[index] ?? '';
      this.kept.get(channel)?.push({ epoch: epochOf(last), number, message });
    }
  }

  /** Whether a verdict is true, and no gap that need not be one. */
  check(since: string, channels: readonly string[], recovery: BusRecovery): void {
    const { position, verdicts, publications } = recovery;
    const now = numberOf(position);
    let room = MAX_MESSAGES;
    for (const [index, channel] of channels.entries()) {
      const missed = (this.kept.get(channel) ?? []).filter(
        ({ epoch, number }) => epoch === epochOf(since) && number > numberOf(since),
      );
      const replayed = publications.filter((publication) => publication.index === index);
      const isOfEpoch = epochOf(since) === epochOf(position);
      if (typeof verdicts[index] === 'number') {
        // A proof: all that was missed, in its order, and nothing that is too old.
        expect(isOfEpoch).toBe(true);
        expect(verdicts[index]).toBe(missed.length);
        expect(replayed.map(({ message }) => message)).toEqual(
          missed.map(({ message }) => message),
        );
        for (const { number } of missed) expect(now - number).toBeLessThanOrEqual(AGE_MS * 1_000);
        room -= missed.length;
        continue;
      }
      expect(replayed).toEqual([]);
      const isYoung = now - numberOf(since) <= AGE_MS * 1_000;
      const isThere = isOfEpoch && isYoung && missed.length <= MESSAGES;
      expect(isThere && missed.length <= room, `no gap: ${verdicts[index]}`).toBe(false);
    }
    const numbers = publications.map((publication) => numberOf(publication.position));
    expect(numbers).toEqual(numbers.toSorted((a, b) => a - b));
  }
}

const epochOf = (position: string) => position.slice(0, 8);
const numberOf = (position: string) => Number(position.slice(9));

const channelList = fc.array(fc.constantFrom(...CHANNELS, '(a)'), { minLength: 1, maxLength: 4 });
const publish = fc.record({ publish: channelList });
const recover = fc.record({ recover: fc.double({ min: 0, max: 1, noNaN: true }) });
const shortWait = fc.record({ wait: fc.integer({ min: 1, max: 4_000 }) });
const longWait = fc.record({ wait: fc.integer({ min: 4_000, max: 17_000 }) });
const stepBack = fc.record({ stepBack: fc.integer({ min: 1, max: 990 }) });
const setBack = fc.record({ stepBack: fc.integer({ min: 1_000, max: 30_000 }) });
const tick = fc.constant({ tick: true as const });
type Step =
    | typeof publish
    | typeof recover
    | typeof shortWait
    | typeof tick
    | typeof stepBack extends fc.Arbitrary<infer T>
    ? T
    : never;
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 10, arbitrary: publish },
  { weight: 10, arbitrary: recover },
  { weight: 4, arbitrary: shortWait },
  { weight: 3, arbitrary: longWait },
  { weight: 2, arbitrary: stepBack },
  { weight: 1, arbitrary: setBack },
  { weight: 1, arbitrary: tick },
);

// The table in history-scripts.test.ts says which rules of the scripts this test needs.
it('proves what it promises, and promises whatever can be proved', async () => {
  const clock = new SettableClock();
  const redis = new RedisServer(await freePort(), [], clock.launcher);
  onTestFinished(() => redis.close());
  await redis.start();
  let runs = 0;
  let seconds = 0;

  const run = async (steps: readonly Step[]) => {
    runs += 1;
    const session = await HistorySession.open(redis, {
      prefix: `${runs}:`,
      messages: MESSAGES,
      ageMs: AGE_MS,
    });
    const model = new Model();
    for (const each of steps) {
      if ('publish' in each) {
        const texts = each.publish.map(() => model.nextMessage());
        model.published(each.publish, texts, await session.publish(each.publish, '', { texts }));
      } else if ('recover' in each) {
        const since = model.positions[Math.floor(each.recover * model.positions.length)];
        if (since === undefined) continue;
        const recovery = await session.recover(CHANNELS, { since, maxMessages: MAX_MESSAGES });
        model.check(since, CHANNELS, recovery);
        model.given(recovery.position);
      } else if ('tick' in each) {
        model.given(await session.tick());
      } else {
        seconds += 'wait' in each ? each.wait / 1_000 : -each.stepBack / 1_000;
        clock.set(seconds);
      }
    }
    session.close();
  };
  await fc.assert(fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 80 }), run), {
    numRuns: 200,
    interruptAfterTimeLimit: 20_000,
  });
});
