import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MAX_PAIRS } from '../../../src/publisher/limits.ts';
import { type Batch, type Call, takeBatch } from '../../../src/publisher/queue.ts';

function call(channels: readonly string[], weight = 0.01): Call {
  return { channels, weight, text: '', at: 0, signal: undefined, resolve() {}, reject() {} };
}

const calls = (count: number, channel: (n: number) => string, weight?: number) =>
  Array.from({ length: count }, (_, n) => call([channel(n)], weight));

describe('takeBatch', () => {
  it('takes at most 100 calls, the oldest first', () => {
    const all = calls(250, (n) => `user:${n}`);
    const waiting = new Set(all);
    expect(takeBatch(waiting, [])).toEqual(all.slice(0, 100));
    expect(takeBatch(waiting, [])).toEqual(all.slice(100, 200));
    expect(takeBatch(waiting, [])).toEqual(all.slice(200));
    expect(takeBatch(waiting, [])).toEqual([]);
  });

  it('takes calls of one channel together', () => {
    const all = calls(100, () => 'news');
    expect(takeBatch(new Set(all), [])).toEqual(all);
  });

  it('fills a request to the brim and no further', () => {
    const tenth = calls(11, (n) => `c:${n}`, 0.1);
    expect(takeBatch(new Set(tenth), [])).toEqual(tenth.slice(0, 10));
    const pairs = [call(['a'], 500 / MAX_PAIRS), call(['b'], 501 / MAX_PAIRS)];
    expect(takeBatch(new Set(pairs), [])).toEqual(pairs.slice(0, 1));
  });

  it('sends a call alone that is larger than a request should be', () => {
    const [small, large, other] = [call(['a']), call(['b'], 3), call(['c'])];
    const waiting = new Set([small, large, other]);
    expect(takeBatch(waiting, [])).toEqual([small, other]);
    expect(takeBatch(waiting, [])).toEqual([large]);
  });

  it('passes over calls whose channel is under way, and over later ones on their other channels', () => {
    const underWay = [[call(['a'])]];
    const [both, later, free] = [call(['a', 'b']), call(['b']), call(['c'])];
    const waiting = new Set([both, later, free]);
    expect(takeBatch(waiting, underWay)).toEqual([free]);
    expect(takeBatch(waiting, underWay)).toEqual([]);
    expect(takeBatch(waiting, [])).toEqual([both, later]);
  });

  it('keeps the order of each channel, and channels of requests under way apart, for any calls', () => {
    const anyCall = fc.record({
      channels: fc.array(fc.constantFrom('a', 'b', 'c', 'd', 'e'), { minLength: 1, maxLength: 3 }),
      weight: fc.constantFrom(0.01, 0.3, 0.6, 2),
    });
    // What happens next: a request is made, or the n-th under way is answered.
    const anySteps = fc.infiniteStream(fc.nat({ max: 5 }));
    fc.assert(
      fc.property(fc.array(anyCall, { maxLength: 60 }), anySteps, (specs, steps) => {
        const all = specs.map(({ channels, weight }) => call(channels, weight));
        const waiting = new Set(all);
        const underWay = new Set<Batch>();
        const sent: Call[] = [];
        for (const step of steps) {
          const answered = [...underWay][step];
          if (answered !== undefined) {
            underWay.delete(answered);
            continue;
          }
          const batch = takeBatch(waiting, underWay);
          if (batch.length === 0) {
            if (underWay.size === 0) break;
            underWay.clear();
            continue;
          }
          const busy = new Set([...underWay].flat().flatMap(({ channels }) => channels));
          for (const { channels } of batch) {
            for (const channel of channels) expect(busy.has(channel)).toBe(false);
          }
          const weight = batch.reduce((sum, one) => sum + one.weight, 0);
          expect(batch.length === 1 || weight < 1.001).toBe(true);
          underWay.add(batch);
          sent.push(...batch);
        }
        expect(sent).toHaveLength(all.length);
        for (const channel of ['a', 'b', 'c', 'd', 'e']) {
          const ofChannel = (list: Call[]) =>
            list.filter(({ channels }) => channels.includes(channel));
          expect(ofChannel(sent)).toEqual(ofChannel(all));
        }
      }),
    );
  });

  it.each([
    ['one channel', () => 'news'],
    ['a channel each', (n: number) => `user:${n}`],
    ['a hundred channels', (n: number) => `room:${n % 100}`],
  ])('looks at a bounded number of calls for a request, with %s', (_, channel) => {
    let looked = 0;
    const waiting = new Set(
      calls(20_000, channel).map((each) => ({
        ...each,
        get channels() {
          looked += 1;
          return each.channels;
        },
      })),
    );
    while (waiting.size > 0) {
      const before = looked;
      const batch = takeBatch(waiting, []);
      takeBatch(waiting, [batch]);
      // Twice a thousand, and each of them may be looked at twice.
      expect(looked - before).toBeLessThan(5_000);
    }
  });
});
