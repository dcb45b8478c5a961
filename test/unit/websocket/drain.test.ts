import { describe, expect, it } from 'vitest';
import { spreadOver } from '../../../src/websocket/drain.ts';

describe('spreadOver', () => {
  it('takes leave of everyone once, in random order, nobody before its share of the time', async () => {
    const everyone = new Set(Array.from({ length: 40 }, (_, n) => n));
    const start = performance.now();
    const left: { item: number; after: number }[] = [];

    await spreadOver(everyone, 300, (item) =>
      left.push({ item, after: performance.now() - start }),
    );

    const order = left.map(({ item }) => item);
    expect(order.toSorted((a, b) => a - b)).toEqual([...everyone]);
    expect(order).not.toEqual([...everyone]);
    left.forEach(({ after }, place) => {
      expect(after).toBeGreaterThanOrEqual((300 / 40) * place);
    });
  });

  it('passes over who left by itself and ends when nobody is there', async () => {
    const everyone = new Set([1, 2, 3]);
    const left: number[] = [];
    await spreadOver(everyone, 60_000, (item) => {
      left.push(item);
      everyone.clear();
    });
    expect(left).toHaveLength(1);
  });
});
