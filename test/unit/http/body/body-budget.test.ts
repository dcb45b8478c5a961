import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BodyBudget, type UnfinishedBody } from '../../../../src/http/body/body-budget.ts';

const MEBIBYTE = 1_024 * 1_024;

describe('BodyBudget', () => {
  class FakeBody implements UnfinishedBody {
    size = 0;
    heldBytes = 0;
    sequence = 0;
    heapIndex = -1;
    readonly #onRefused: (body: FakeBody) => void;

    constructor(onRefused: (body: FakeBody) => void) {
      this.#onRefused = onRefused;
    }

    refuse(): void {
      this.#onRefused(this);
    }
  }

  it('refuses in the order of a sorted list', () => {
    const step = fc.record({
      at: fc.nat(30),
      by: fc.option(fc.nat(50), { nil: undefined, freq: 2 }),
    });
    fc.assert(
      fc.property(fc.array(step, { minLength: 50, maxLength: 200 }), (steps) => {
        const budget = new BodyBudget(1);
        const refused: FakeBody[] = [];
        const make = () => new FakeBody((body) => refused.push(body));
        const bodies = Array.from({ length: 31 }, make);
        // In the order in which they were first counted.
        const counted = new Set<FakeBody>();
        for (const { at, by } of steps) {
          const body = bodies[at] ?? make();
          if (by === undefined) {
            budget.remove(body);
            counted.delete(body);
            bodies[at] = make();
          } else {
            budget.grow(body, by, by);
            counted.add(body);
          }
        }
        const sizes = [...counted].map(({ size }) => size);
        expect(budget.heldBytes).toBe(sizes.reduce((sum, size) => sum + size, 0));
        expect(refused).toEqual([]);

        // Alone it is too much, so all the larger ones go first.
        const last = make();
        budget.grow(last, 0, 65 * MEBIBYTE);
        const expected = [...counted, last].toSorted((a, b) => b.size - a.size);
        expect(refused.length).toBe(expected.length);
        for (const [index, body] of refused.entries()) expect(body).toBe(expected[index]);
        expect(budget.heldBytes).toBe(0);
      }),
    );
  });

  it('has room for 16 bodies of the allowed length', () => {
    const refused: FakeBody[] = [];
    const budget = new BodyBudget(10 * MEBIBYTE);
    for (let n = 0; n < 17; n += 1) {
      expect(refused).toEqual([]);
      budget.grow(new FakeBody((body) => refused.push(body)), 1, 10 * MEBIBYTE);
    }
    expect(refused.length).toBe(1);
  });
});
