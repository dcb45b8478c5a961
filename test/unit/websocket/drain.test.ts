import { describe, expect, it } from 'vitest';
import { spreadOver } from '../../../src/websocket/drain.ts';

describe('spreadOver', () => {
  it('visits every item once, in random order, none before its share of the time', async () => {
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

  it('skips items that are removed meanwhile, and ends when none is left', async () => {
    const everyone = new Set([1, 2, 3]);
    const left: number[] = [];
    await spreadOver(everyone, 60_000, (item) => {
      left.push(item);
      everyone.clear();
    });
    expect(left).toHaveLength(1);
  });
});
