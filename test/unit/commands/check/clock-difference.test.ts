import { describe, expect, it } from 'vitest';
import { clockDifference } from '../../../../src/commands/check/clock-difference.ts';

const DATE = 'Sun, 22 Nov 2026 08:00:00 GMT';
const AT = Date.parse(DATE);

describe('clockDifference', () => {
  it.each([
    ['sent and answered within that second', 100, 900, 0],
    ['answered at its very start', -500, 0, 0],
    ['sent at its very end', 1_000, 1_200, 0],
    ['under way for long', -60_000, 60_000, 0],
    ['of a server that is ahead', -20_000, -15_500, 15.5],
    ['of a server that is behind', 13_250, 14_000, -12.25],
  ])('sees of a request %s as much as is certain', (_, sent, received, seconds) => {
    expect(clockDifference(DATE, AT + sent, AT + received)).toBe(seconds);
  });

  it('sees nothing without a date', () => {
    expect(clockDifference('tomorrow', AT, AT)).toBe(undefined);
  });
});
